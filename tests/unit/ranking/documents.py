"""Operations and segments for the ranking's tests, made by hand or drawn at random."""

import hashlib
from collections.abc import Sequence
from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from opdex.openapi.description import Fields, Operation
from opdex.ranking.scope import Scope
from opdex.ranking.segment import Segment
from opdex.ranking.segment_builder import build_segment

WORDS = ("pet", "pets", "owner", "list", "get", "create", "shop", "order", "findPet", "the", "of", "user", "7")


def operation(
    address: str = "GET /x",
    summary: str = "",
    *,
    operation_id: str = "",
    description: str = "",
    tags: Sequence[str] = (),
    deprecated: bool = False,
    text: str | None = None,
    **fields: str,
) -> Operation:
    """Return an operation; its text is its address and summary unless said otherwise."""
    method, path = address.split(" ", 1)
    text = f"{address} {summary}" if text is None else text
    return Operation(
        operation_id=operation_id or address,
        method=method,
        path=path,
        summary=summary,
        description=description,
        tags=tuple(tags),
        deprecated=deprecated,
        text=text,
        text_hash=hashlib.sha256(text.encode()).digest(),
        fields=Fields(**fields),
    )


def segment(operations: Sequence[Operation], title: str = "") -> Segment:
    """Return the segment of the operations."""
    return Segment(build_segment(title, operations))


def scope(*documents: Sequence[Operation]) -> Scope:
    """Return the scope of documents without titles."""
    return Scope([segment(operations) for operations in documents])


_TAGS = ("Pets", "a b", "\n", "\u2028", '"', "\N{GRINNING FACE}")
_SEGMENTS = ("pets", "{petId}", "me", "search", "users", "{id}")


def _drawn(chance: Random) -> Operation:
    def said(most: int = 5) -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(0, most)))

    path = "/".join(chance.choices(_SEGMENTS, k=chance.randint(0, 4)))
    return operation(
        f"{chance.choice(['GET', 'POST', 'DELETE', 'pUrge'])} /{path}",
        said(),
        operation_id=chance.choice(["", "listPets", "get_owner", "the"]),
        description=said(),
        tags=chance.sample(_TAGS, chance.choice([0, 1, 3])),
        deprecated=chance.random() < 0.5,
        text=chance.choice(["same", "other"]),
        **{name: said() for name in chance.sample(Fields.__slots__, chance.randint(0, 3))},
    )


def documents(min_size: int = 0) -> st.SearchStrategy[list[Operation]]:
    """Draw the operations of a document whose words are few. By a seed: so many draws of its own would take long."""
    return st.builds(
        lambda size, seed: [_drawn(Random(f"{seed} {place}")) for place in range(size)],
        st.integers(min_size, 6),
        st.integers(0, 2**32),
    )


queries = st.lists(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), min_size=1, max_size=3)

# Each test's own share of a suite that is to be run often.
few = settings(max_examples=40, deadline=None)
