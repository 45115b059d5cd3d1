"""The variables of the functions, from the settings classes: what stands below a field is what is said of it."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from types import ModuleType, UnionType
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from docs.pages.tables import code, or_dash, table
from opdex.settings import Settings

# What a name says of its figure.
_UNITS: Final = {"seconds": "seconds", "days": "days", "bytes": "bytes"}
_BOUNDS: Final = {"ge": "at least {:g}", "gt": "more than {:g}", "le": "at most {:g}", "lt": "less than {:g}"}
_FUNCTION: Final = re.compile(r"\w+Function\b")


class Setting(NamedTuple):
    """A field of a settings class, with what is said of it."""

    name: str
    field: FieldInfo
    said: str

    @property
    def variable(self) -> str:
        """The variable that it is read from."""
        return self.name.upper()


def settings_of(module: ModuleType) -> dict[type[Settings], list[Setting]]:
    """Return the settings classes of a module, each with the fields that it declares itself.

    Raises ValueError where nothing stands below a field.
    """
    found: dict[type[Settings], list[Setting]] = {}
    for declared in ast.parse(inspect.getsource(module)).body:
        if isinstance(declared, ast.ClassDef) and issubclass(cls := getattr(module, declared.name), Settings):
            said = dict(_said_in(declared))
            names = [name for name in inspect.get_annotations(cls) if name in cls.model_fields]
            found[cls] = [Setting(name, cls.model_fields[name], said.get(name, "")) for name in names]
    silent = [setting.name for settings in found.values() for setting in settings if not setting.said]
    if silent:
        raise ValueError(f"Say below each of these settings what it is: {', '.join(silent)}.")
    return found


def variables(module: ModuleType, sources: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the variables, class by class; ``sources`` says what in the template sets which."""
    settings = settings_of(module)
    functions = {cls: name[0] for cls in settings if (name := _FUNCTION.match(_title(cls)))}
    for cls, declared in settings.items():
        if declared:
            readers = [name for function, name in functions.items() if issubclass(function, cls)]
            yield f"### {cls.__name__.removesuffix('Settings')}\n"
            yield f"{_title(cls)} Read by {', '.join(readers)}.\n"
            yield table(
                ("variable", "default", "takes", "what it is", "set by"),
                (
                    (
                        f"`{setting.variable}`",
                        _default(setting.field),
                        _accepted(setting.name, setting.field),
                        setting.said,
                        code(sources.get(setting.variable, ())),
                    )
                    for setting in declared
                ),
            )


def _title(cls: type[Settings]) -> str:
    return (inspect.getdoc(cls) or "").split("\n", 1)[0]


def _said_in(declared: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(declared.body, declared.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                yield name, " ".join(said.split())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default()
    if isinstance(value, float):
        value = f"{value:.15g}"
    return or_dash(str(value).lower() if isinstance(value, bool) else value)


def _accepted(name: str, field: FieldInfo) -> str:
    kind = _unless_none(field.annotation)
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if kind is bool:
        return "true or false"
    if kind not in (int, float):
        return "text"
    unit = next((unit for word, unit in _UNITS.items() if word in name.split("_")), "a whole number")
    limits = ((said, getattr(part, bound, None)) for part in field.metadata for bound, said in _BOUNDS.items())
    return ", ".join([unit, *(said.format(limit) for said, limit in limits if limit is not None)])


def _unless_none(annotation: Any) -> Any:
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if isinstance(annotation, UnionType) and len(kinds) == 1 else annotation
