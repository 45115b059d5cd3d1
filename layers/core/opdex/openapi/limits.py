"""What a document may cost at most. The defaults take every real document that is known and refuse every bomb."""

from dataclasses import dataclass

from opdex.errors import DocumentTooComplex


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on one document; each is named, with its value, by the error that it causes."""

    max_bytes: int = 32 * 1024 * 1024
    max_depth: int = 200
    max_nodes: int = 2_000_000  # every YAML alias and every reference that is followed counted in full
    max_operations: int = 20_000
    max_seconds: float = 20.0  # for YAML, the one format that can take long


def too_deep(limits: Limits, **where: int) -> DocumentTooComplex:
    """Return the error for a document that is nested too deep."""
    at = f" at line {where['line']}" if "line" in where else ""
    return DocumentTooComplex(
        f"The document is nested more than {limits.max_depth} levels deep (max_depth){at}; "
        "move inner schemas to components and refer to them.",
        limit="max_depth",
        value=limits.max_depth,
        **where,
    )


def too_many_nodes(limits: Limits) -> DocumentTooComplex:
    """Return the error for a document of too many nodes."""
    return DocumentTooComplex(
        f"The document has more than {limits.max_nodes} nodes (max_nodes), aliases and references counted in full; "
        "split it.",
        limit="max_nodes",
        value=limits.max_nodes,
    )
