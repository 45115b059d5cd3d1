"""What a document may cost at most. The defaults take every real document that is known and refuse every bomb."""

import time
from dataclasses import dataclass, field, fields
from typing import Any, Self

from opdex.errors import DocumentTooComplex
from opdex.settings import DocumentSettings


def _set_by(setting: str) -> Any:
    return field(default=DocumentSettings.model_fields[setting].default, metadata={"setting": setting})


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on a document and on the zip that it comes in; the error that one causes names its setting."""

    max_bytes: int = _set_by("max_document_bytes")
    max_depth: int = _set_by("max_document_depth")
    max_nodes: int = _set_by("max_document_nodes")
    max_expansion: int = _set_by("max_document_expansion")
    max_operations: int = _set_by("max_operations")
    max_text: int = _set_by("max_document_text")
    max_seconds: float = _set_by("max_document_seconds")
    max_files: int = _set_by("max_archive_files")
    max_ratio: int = _set_by("max_archive_ratio")

    @classmethod
    def of(cls, settings: DocumentSettings) -> Self:
        """Return the limits that these settings say."""
        return cls(**{limit.name: getattr(settings, limit.metadata["setting"]) for limit in fields(cls)})


class Budget:
    """What reading one document may still cost. What passes a limit raises DocumentTooComplex.

    ``began``: since when its time is counted, on the monotonic clock; from now on where that is not said.
    """

    def __init__(self, limits: Limits, began: float | None = None) -> None:
        self.limits = limits
        self._deadline = (time.monotonic() if began is None else began) + limits.max_seconds
        self._expansion = 0
        self._operations = 0
        self._text = 0

    def check_time(self) -> None:
        """Raise where the time is up. Cheap: to be asked wherever a document decides how often something is done."""
        if time.monotonic() > self._deadline:
            raise passed(
                "Reading the document takes longer than {} s", "split it.", max_seconds=self.limits.max_seconds
            )

    def check_nodes(self, nodes: int) -> None:
        """Raise where the document has too many nodes."""
        if nodes > self.limits.max_nodes:
            raise passed("The document has more than {} nodes", "split it.", max_nodes=self.limits.max_nodes)

    def check_depth(self, depth: float, **where: int) -> None:
        """Raise where the document is nested too deep; ``where`` says at which line, where that is known."""
        if depth > self.limits.max_depth:
            advice = "move inner schemas to components and refer to them."
            raise passed(
                "The document is nested more than {} levels deep", advice, where, max_depth=self.limits.max_depth
            )

    def expand(self, nodes: int) -> None:
        """Count the nodes of what an alias or a reference stands for, once more."""
        self.check_time()
        self._expansion += nodes
        if self._expansion > self.limits.max_expansion:
            raise passed(
                "The aliases and references of the document stand for more than {} nodes",
                "write fewer of them to large parts.",
                max_expansion=self.limits.max_expansion,
            )

    def take_operation(self) -> None:
        """Count one operation or webhook."""
        self._operations += 1
        if self._operations > self.limits.max_operations:
            raise passed(
                "The document has more than {} operations", "split it.", max_operations=self.limits.max_operations
            )

    def take_text(self, characters: int) -> None:
        """Count text that is kept: by many references to one long text it can be more than the document's own."""
        self._text += characters
        if self._text > self.limits.max_text:
            what = "The texts of the operations together are longer than {} characters"
            raise passed(what, "split the document.", max_text=self.limits.max_text)


def passed(what: str, advice: str, where: dict[str, int] | None = None, **limit: Any) -> DocumentTooComplex:
    """Return the error for what passes a limit; its value stands in ``what`` where that has ``{}``."""
    ((name, value),) = limit.items()
    (setting,) = (known.metadata["setting"].upper() for known in fields(Limits) if known.name == name)
    at = f" at line {where['line']}" if where else ""
    message = f"{what.format(f'{value:g}' if isinstance(value, float) else value)} ({setting}){at}; {advice}"
    return DocumentTooComplex(message, limit=name, value=value, **(where or {}))
