"""Whether the commands of a page could be run: their programs, targets, variables, modules and options are there."""

import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from itertools import dropwhile
from pathlib import Path
from typing import Any

from local.template import read_template

# What every machine that is named as able to run Opdex has, or the page says how to get.
_SYSTEM = {"apt-get", "curl", "docker", "git", "gzip", "jq", "psql", "uv"}
_SHELL = {"{", "}", "do", "done", "echo", "export", "for", "if", "fi", "then", "while"}
_ASSIGNMENT = re.compile(r"([A-Za-z]\w*)=")
_FUNCTION = re.compile(r"^(\w+)\(\)", re.MULTILINE)
_AWS_OPTIONS = {"--endpoint-url", "--output", "--profile", "--query", "--region"}
# Separators of commands, as shlex gives them.
_BETWEEN = {"|", "||", "&&", ";", "&", "(", ")"}


class Commands:
    """The commands of a project."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._programs: dict[str, Callable[[list[str]], Iterator[str]]] = {
            "aws": _aws,
            "make": self._make,
            "python": _python,
            "sam": self._sam,
        }

    def knows(self, text: str) -> bool:
        """Whether a text is a command of a program whose commands can be checked."""
        program, arguments = _parts(text.split())
        return program in self._programs and bool(arguments)

    def complaints(self, script: str, page: str = "") -> Iterator[str]:
        """Return what is not there of what a script uses; the functions of its page are."""
        known = {*_SYSTEM, *_SHELL, *_FUNCTION.findall(page)}
        for line in re.sub(r"\\\n", " ", script).splitlines():
            for words in _commands(line):
                program, arguments = _parts(words)
                if program in self._programs:
                    yield from self._programs[program](arguments)
                elif program and program not in known:
                    yield f"there is no program {program}"

    def _make(self, words: list[str]) -> Iterator[str]:
        targets, variables = _makefile(self._project)
        for word in words:
            if match := _ASSIGNMENT.match(word):
                if match[1] not in variables:
                    yield f"nothing reads {match[1]}"
            elif not word.startswith("-") and word not in targets:
                yield f"make has no target {word}"

    def _sam(self, words: list[str]) -> Iterator[str]:
        from samcli.cli.main import cli

        parameters = read_template(self._project / "template.yaml")["Parameters"]
        command: Any = cli
        overrides = False
        for word in words:
            if word.startswith("-"):
                overrides = word == "--parameter-overrides"
                if word not in {option for parameter in command.params for option in parameter.opts}:
                    yield f"sam {command.name} has no option {word}"
            elif overrides and (match := _ASSIGNMENT.match(word)):
                if match[1] not in parameters:
                    yield f"the template has no parameter {match[1]}"
            elif hasattr(command, "get_command"):
                command = command.get_command(command.make_context("sam", [], resilient_parsing=True), word)
                if command is None:
                    yield f"sam has no command {word}"
                    return


def _commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _BETWEEN:
            yield words
            words = []
        else:
            words.append(word)


def _parts(words: list[str]) -> tuple[str, list[str]]:
    """Return the program, without its path and version, and what it is given; variables set for it are left out."""
    words = list(dropwhile(_ASSIGNMENT.match, words))
    return (re.sub(r"^(?:.*/)?(python)[0-9.]*$", r"\1", words[0]), words[1:]) if words else ("", [])


@cache
def _makefile(project: Path) -> tuple[set[str], set[str]]:
    """Return the targets, and the variables that the Makefile or what it starts reads."""
    makefile = (project / "Makefile").read_text("utf-8")
    modules = [path for folder in ("checks", "local") for path in (project / folder).glob("*.py")]
    code = "".join(path.read_text("utf-8") for path in modules)
    read = r"\$\(([A-Z_]+)\)|envvar=\"([A-Z_]+)\"|environ(?:\.get\(|\[)\"([A-Z_]+)\""
    variables = {name for found in re.findall(read, makefile + code) for name in found if name}
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)), variables


def _python(words: list[str]) -> Iterator[str]:
    if words[:1] == ["-m"]:
        try:
            found = find_spec(words[1])
        except ModuleNotFoundError:  # not even its package
            found = None
        if found is None:
            yield f"there is no module {words[1]}"


def _aws(words: list[str]) -> Iterator[str]:
    from botocore import xform_name
    from botocore.exceptions import UnknownServiceError
    from botocore.session import get_session

    while words and words[0].startswith("--"):  # an option of all commands, and its value
        words = words[2:]
    service, operation, *rest = words
    session = get_session()
    try:
        model = session.get_service_model(service)
    except UnknownServiceError:
        yield f"aws has no service {service}"
        return
    if operation == "wait":
        waiters = session.get_component("data_loader").load_service_model(service, "waiters-2")["waiters"]
        if rest[0] not in {xform_name(name, "-") for name in waiters}:
            yield f"aws {service} cannot wait for {rest[0]}"
        return
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        yield f"aws {service} has no command {operation}"
        return
    shape = model.operation_model(names[operation]).input_shape
    options = {f"--{xform_name(name, '-')}" for name in (shape.members if shape is not None else ())}
    for word in rest:
        if word.startswith("--") and word not in options | _AWS_OPTIONS:
            yield f"aws {service} {operation} has no option {word}"
