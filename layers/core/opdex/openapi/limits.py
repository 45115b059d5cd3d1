"""What a document may cost at most. The defaults take every real document that is known and refuse every bomb."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on one document; each is named, with its value, by the error that it causes."""

    max_bytes: int = 32 * 1024 * 1024
    max_depth: int = 200
    max_nodes: int = 2_000_000  # with every YAML alias counted as often as it is used
    max_operations: int = 20_000
    max_seconds: float = 20.0  # for YAML, the one format that can take long
