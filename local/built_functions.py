"""The built functions with their layers, each on Lambda's own runtime, found by the names of the files in events/."""

import json
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from local.errors import LocalRunError
from local.lambda_runtime import LambdaRuntime
from local.template import holds, parameter_values, read_template, resolved

# No function is built for this database: it only lets the template's rules be checked.
_ANY_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:opdex/database-a1B2c3"
ANY_DATABASE = {"DATABASE_SECRET_ARN": _ANY_ARN}


class BuiltFunctions:
    """The functions of one built template. A context manager; each starts at its first event and stays warm.

    ``given`` are the template's parameters, by variable name; ``environment`` is what each function sees of the rest.
    """

    def __init__(
        self, template_path: Path, folder: Path, environment: Mapping[str, str], given: Mapping[str, str] | None = None
    ) -> None:
        self._template = read_template(template_path)
        self._values = parameter_values(self._template, {**ANY_DATABASE, **(given or {})})
        self._build = template_path.parent
        self._folder = folder
        self._environment = environment
        self._running: dict[str, LambdaRuntime] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def answer(self, event_path: Path, **changes: Any) -> Any:
        """Return what the event's function answers to it; ``changes`` replace fields of the event.

        Raises FunctionError, and LocalRunError where the file is no event of a function.
        """
        return self.runtime(event_path).invoke({**read_event(event_path), **changes})

    def runtime(self, event_path: Path) -> LambdaRuntime:
        """Return the function whose event this is, running: ``search_operations.json`` is one of SearchFunction.

        Raises LocalRunError.
        """
        name = function_of(event_path, self.names())
        if name not in self._running:
            self._running[name] = self._stack.enter_context(self._runtime(name))
        return self._running[name]

    def names(self) -> list[str]:
        """Return the functions that the template has with these parameters."""
        return function_names(self._template, self._values)

    def folders(self, name: str) -> list[Path]:
        """Return the folder of a function, then those of its layers."""
        layers = self._template["Globals"]["Function"]["Layers"] + self._properties(name).get("Layers", [])
        given = [layer for layer in (self._resolved(layer) for layer in layers) if layer is not None]
        return [self._build / name, *(self._build / layer["Ref"] for layer in given)]

    def _runtime(self, name: str) -> LambdaRuntime:
        function, *layers = self.folders(name)
        timeout = int(self._resolved(self._properties(name)["Timeout"]))
        return LambdaRuntime(function, layers, self._folder, self._environment, timeout)

    def _properties(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self._template["Resources"][name]["Properties"]
        return properties

    def _resolved(self, value: Any) -> Any:
        return resolved(value, self._template, self._values)


def function_names(template: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Return the functions that a template has with these values of its parameters."""
    return [
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        and ("Condition" not in resource or holds(resource, template, values))
    ]


def function_of(event_path: Path, names: Collection[str]) -> str:
    """Return which of these functions an event is for, by its file's name. Raises LocalRunError."""
    name = f"{event_path.stem.split('_')[0].capitalize()}Function"
    if name not in names:
        known = ", ".join(sorted(name.removesuffix("Function").lower() for name in names))
        raise LocalRunError(f"{event_path} is no event's file: its name begins with one of {known}, and a _.")
    return name


def read_event(path: Path) -> dict[str, Any]:
    """Return the event of a file. Raises LocalRunError."""
    try:
        event = json.loads(path.read_text())
    except OSError as error:
        raise LocalRunError(f"EVENT {path} cannot be read ({error.strerror}): name a file of events/.") from None
    except ValueError as error:
        raise LocalRunError(f"EVENT {path} is no JSON ({error}).") from None
    if not isinstance(event, dict):
        raise LocalRunError(f"EVENT {path} is no event: an event is a JSON object.")
    return event
