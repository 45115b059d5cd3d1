"""The commands of the Makefile, and the options of those that have some of their own."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from docs.pages.tables import or_dash, table
from docs.pages.template_reference import accepted
from local.template import variable_name

_TARGET: Final = re.compile(r"^([a-z-]+):.*?## (.*)$", re.MULTILINE)


def commands(makefile: Path) -> str:
    """Return what `make help` says."""
    said = _TARGET.findall(makefile.read_text("utf-8"))
    return table(("command", "what it does"), ((f"`make {name}`", f"{text}.") for name, text in said))


def options(function: Callable[..., None], template: Mapping[str, Any]) -> str:
    """Return the variables that a typer command reads; one of a parameter of the template takes what that takes."""
    parameters = {variable_name(name): about for name, about in template["Parameters"].items()}
    rows = []
    for hint in get_type_hints(function, include_extras=True).values():
        for option in get_args(hint)[1:]:
            if variable := getattr(option, "envvar", None):
                about = parameters.get(variable, {"Type": "String", "Default": _shown(option)})
                rows.append((f"`{variable}`", or_dash(about["Default"]), accepted(about), option.help))
    return table(("variable", "default", "takes", "what it is"), rows)


def _shown(option: Any) -> str:
    return option.show_default if isinstance(option.show_default, str) else ""
