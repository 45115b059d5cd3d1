"""``python -m checks.dead_code``: no function, class or constant, and no named statement, that nothing uses."""

import re
from collections.abc import Iterator
from pathlib import Path

from vulture import Vulture

from checks.errors import told
from checks.table import PROJECT

_FOLDERS = ("checks", "deploy", "docs", "functions", "layers/core/opdex", "local", "tests")
# What these mark is called by the library that they are from.
_DECORATORS = ["@*.endpoint", "@fixture", "@pytest.fixture", "@field_validator", "@model_validator", "@computed_field",
               "@initialize", "@rule", "@invariant"]  # fmt: skip
_CALLED_BY_OTHERS = [
    # by the class that it overrides: of powertools, http.server, socketserver
    "_get_body", "do_*", "log_message", "handle_error",
    # by pytest, and by a patched module
    "pytest_*", "pytestmark", "__call__",
]  # fmt: skip
_CALLED_BY_NAME = {
    "tests/faults/harness.py",  # the dice throw the names of its methods
    "tests/localstack/process_executor.py",  # a plugin of LocalStack
}
_KINDS = {"function", "class", "method", "property", "variable", "unreachable_code"}


def unused_code(project: Path) -> Iterator[str]:
    """Return what nothing uses. Fields are let be, which may be read as JSON, and imports, which ruff knows better."""
    vulture = Vulture(ignore_decorators=_DECORATORS, ignore_names=_CALLED_BY_OTHERS)
    vulture.scavenge([str(project / folder) for folder in _FOLDERS if (project / folder).exists()])
    for item in vulture.get_unused_code():
        path = Path(item.filename).resolve().relative_to(project)
        is_field = item.typ == "variable" and _line(project / path, item.first_lineno).startswith(" ")
        if item.typ in _KINDS and not is_field and str(path) not in _CALLED_BY_NAME:
            yield f"{path}:{item.first_lineno}: {item.message}"


def unused_statements(project: Path) -> Iterator[str]:
    """Return the named statements whose name stands in no module that loads their file."""
    modules = [module.read_text("utf-8") for module in sorted((project / "layers/core/opdex").rglob("*.py"))]
    for path in sorted((project / "layers/core/opdex").rglob("*.sql")):
        code = "".join(module for module in modules if f'load_statements("{_package(path)}", "{path.name}")' in module)
        for name in re.findall(r"^-- name: (\w+)$", path.read_text("utf-8"), re.MULTILINE):
            if f'"{name}"' not in code:
                yield f"{path.relative_to(project)}: no module that loads it names the statement {name}"


def _package(path: Path) -> str:
    return ".".join(path.parts[path.parts.index("opdex") : -1])


def _line(path: Path, number: int) -> str:
    return path.read_text("utf-8").splitlines()[number - 1]


if __name__ == "__main__":
    told([*unused_code(PROJECT), *unused_statements(PROJECT)])
