"""ApiFunction or SearchFunction as AWS runs it: its handler in a warm process of its own, what each invocation took."""

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Self

from tests.benchmarks.execution_environment import ExecutionEnvironment
from tests.gateway import LambdaContext

_STATUS = Path("/proc/self/status")
# What an upload's time is spent in. The handler's modules take these names when they are imported.
_TIMED = {
    "unpack": ("opdex.openapi", "unpack"),
    "parse": ("opdex.openapi", "read_document"),
    "read": ("opdex.openapi", "describe"),
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What an invocation took, in seconds, and the most memory that its process has had."""

    seconds: float
    parsing: float
    walking: float
    writing: float
    peak_bytes: int


class HttpFunction:
    """One execution environment with these variables, a handler of gateway events. A context manager.

    ``folder`` is the function's; its log goes nowhere, or to a file.
    """

    spent: Spent

    def __init__(self, folder: Literal["api", "search"], variables: Mapping[str, str], log: Path | None = None) -> None:
        self._environment = ExecutionEnvironment(partial(_serve, folder), variables, log)

    def __enter__(self) -> Self:
        self._environment.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._environment.__exit__()

    def __call__(self, event: dict[str, Any], context: object) -> dict[str, Any]:
        """Return the handler's answer; ``spent`` is what it took."""
        self._environment.send(event)
        answer: dict[str, Any]
        answer, self.spent = self._environment.receive()
        return answer


def _serve(folder: str, pipe: Connection) -> None:
    spent: Counter[str] = Counter()
    for kind, (module, name) in _TIMED.items():
        _time(spent, kind, import_module(module), name)
    _time_transactions(spent)
    handler = import_module(f"functions.{folder}.handler").handler

    while (event := pipe.recv()) is not None:
        spent.clear()
        began = time.perf_counter()
        answer = handler(event, LambdaContext())
        seconds = time.perf_counter() - began
        parsing, walking = spent["unpack"] + spent["parse"], spent["read"] - spent["parse"]
        pipe.send((answer, Spent(seconds, parsing, walking, spent["write"], _peak_bytes())))


def _time(spent: Counter[str], kind: str, owner: object, name: str) -> None:
    function: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent[kind] += time.perf_counter() - began  # type: ignore[assignment]

    setattr(owner, name, timed)


def _time_transactions(spent: Counter[str]) -> None:
    from opdex.database import Database

    transaction = Database.transaction

    @contextmanager
    def timed(self: Database, *arguments: Any, **named: Any) -> Iterator[Any]:
        began = time.perf_counter()
        with transaction(self, *arguments, **named) as connection:
            yield connection
        spent["write"] += time.perf_counter() - began  # type: ignore[assignment]

    Database.transaction = timed  # type: ignore[method-assign]


def _peak_bytes() -> int:
    if _STATUS.exists():  # the other figure may be that of the process that started this one
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
