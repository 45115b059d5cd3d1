"""``python -m checks.files``: every JSON, YAML and TOML file of the project can be read, and says nothing twice."""

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from checks.errors import told
from checks.table import PROJECT


def complaints(project: Path) -> Iterator[str]:
    """Return what is wrong with the files of a project, but for those in folders that begin with a dot."""
    folders = [path for path in project.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted([*project.glob("*.*"), *(path for folder in folders for path in folder.rglob("*.*"))]):
        read = _READERS.get(path.suffix)
        if read is not None:
            try:
                read(path.read_text("utf-8"))
            except (ValueError, yaml.YAMLError) as error:
                yield f"{path.relative_to(project)}: {error}"


def _read_json(text: str) -> None:
    json.loads(text, object_pairs_hook=_unique)


def _read_lines(text: str) -> None:
    for line in text.splitlines():
        _read_json(line)


def _read_yaml(text: str) -> None:
    # As nodes, not as values: tags such as CloudFormation's stand for themselves.
    for node in yaml.compose_all(text, Loader=yaml.CSafeLoader):
        _check_keys(node)


def _check_keys(node: yaml.Node) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item)
    elif isinstance(node, yaml.MappingNode):
        _unique([(key.value if isinstance(key, yaml.ScalarNode) else id(key), None) for key, _ in node.value])
        for _, value in node.value:
            _check_keys(value)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    keys = [key for key, _ in pairs]
    if twice := sorted({str(key) for key in keys if keys.count(key) > 1} - {"<<"}):
        raise ValueError(f"more than one {', '.join(twice)} in one object")
    return dict(pairs)


_READERS: dict[str, Callable[[str], Any]] = {
    ".json": _read_json,
    ".jsonl": _read_lines,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".toml": tomllib.loads,
}


if __name__ == "__main__":
    told(complaints(PROJECT))
