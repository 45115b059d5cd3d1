"""The segments that a warm function holds: what never changes need not be read twice."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from opdex.catalog.segments import Origin, make_segment, read_segments, segment_sizes
from opdex.database import Connection
from opdex.ranking.segment import Segment

# After that no further segment is made within a search; one takes half a second itself, and two at worst.
MAKING_SECONDS: Final = 1.0
# Octets of one answer, which is in memory twice while it is taken over.
_MOST_AT_ONCE: Final = 16 * 1024 * 1024


class Edition(NamedTuple):
    """Where operations are stored, and of which document they are: a database that was restored gives the number of a
    revision once more."""

    origin: Origin
    content_sha256: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The segments there are for a search; ``unready`` ones are neither stored nor made soon, the others had no
    room."""

    segments: Mapping[Edition, Segment]
    unready: Collection[Edition]


class SegmentCache:
    """Segments by their edition; the least used go where they take more than ``max_bytes``.

    Not for use by two threads at once.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._segments: OrderedDict[Edition, Segment] = OrderedDict()
        self._makeshift: set[Edition] = set()  # made here, until the sweep has stored better ones

    def load(self, connection: Connection, editions: Iterable[Edition]) -> Loaded:
        """Return the segments of these editions, as many of the first as fit into ``max_bytes``.

        What is not stored is made of the stored operations while there is time; what is left is ``unready``.
        """
        wanted = list(dict.fromkeys(editions))
        unsure = [edition for edition in wanted if edition not in self._segments or edition in self._makeshift]
        sizes = segment_sizes(connection, [edition.origin for edition in unsure]) if unsure else {}
        stored = {edition: sizes[edition.origin] for edition in unsure if edition.origin in sizes}
        found: list[Edition] = []
        missing: list[Edition] = []
        room = self._max_bytes
        for edition in wanted:
            if edition not in stored and edition not in self._segments:
                missing.append(edition)
            elif (size := stored.get(edition) or self._segments[edition].size) <= room:
                found.append(edition)
                room -= size
        self._read(connection, {edition: stored[edition] for edition in found if edition in stored}, keep=found)
        made, unready = self._make(connection, missing, room)
        found += made
        for edition in found:
            self._segments.move_to_end(edition)
        self._make_room(0, keep=found)
        return Loaded({edition: self._segments[edition] for edition in found}, frozenset(unready))

    def _read(self, connection: Connection, sizes: Mapping[Edition, int], keep: Collection[Edition]) -> None:
        self._make_room(sum(sizes.values()), keep)
        for portion in _portions(sizes):
            octets = read_segments(connection, [edition.origin for edition in portion])
            for edition in portion:
                self._segments[edition] = Segment(octets[edition.origin])
                self._makeshift.discard(edition)

    def _make(
        self, connection: Connection, editions: Iterable[Edition], room: int
    ) -> tuple[list[Edition], list[Edition]]:
        """Return (what was made, what was not); what has no room is neither."""
        made: list[Edition] = []
        unready: list[Edition] = []
        ends_at = self._clock() + MAKING_SECONDS
        for edition in editions:
            if room <= 0:
                break
            octets = make_segment(connection, edition.origin) if self._clock() < ends_at else None
            if octets is None:
                unready.append(edition)
                continue
            segment = self._segments[edition] = Segment(octets)
            if segment.count:  # one of no operations is as good as it will be
                self._makeshift.add(edition)
            made.append(edition)
            room -= segment.size
        return made, unready

    def _make_room(self, incoming: int, keep: Collection[Edition]) -> None:
        size = incoming + sum(segment.size for segment in self._segments.values())
        kept = set(keep)
        for edition in [edition for edition in self._segments if edition not in kept]:
            if size <= self._max_bytes:
                break
            size -= self._segments.pop(edition).size
            self._makeshift.discard(edition)


def _portions(sizes: Mapping[Edition, int]) -> Iterator[list[Edition]]:
    """Yield the editions in turn, as many at once as are read in one answer."""
    portion: list[Edition] = []
    size = 0
    for edition in sizes:
        if portion and size + sizes[edition] > _MOST_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(edition)
        size += sizes[edition]
    if portion:
        yield portion
