"""The segments that a warm function holds: what never changes need not be read twice."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from opdex.catalog.segments import Origin, make_segment, read_segments, segment_sizes
from opdex.database import Connection
from opdex.ranking.segment import Segment

# After that no further segment is made within a search; one takes half a second itself, and two at worst.
MAKING_SECONDS: Final = 1.0
# Octets of one answer, which is in memory twice while it is taken over.
_MOST_AT_ONCE: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """The segments there are for a search; ``unready`` ones are neither stored nor made soon, the others had no
    room."""

    segments: Mapping[Origin, Segment]
    unready: Collection[Origin]


class SegmentCache:
    """Segments by where their operations are stored; the least used go where they take more than ``max_bytes``.

    Not for use by two threads at once.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._segments: OrderedDict[Origin, Segment] = OrderedDict()
        self._makeshift: set[Origin] = set()  # made here, until the sweep has stored better ones

    def load(self, connection: Connection, origins: Iterable[Origin]) -> Loaded:
        """Return the segments of these origins, as many of the first as fit into ``max_bytes``.

        What is not stored is made of the stored operations while there is time; what is left is ``unready``.
        """
        wanted = list(dict.fromkeys(origins))
        unsure = [origin for origin in wanted if origin not in self._segments or origin in self._makeshift]
        stored = segment_sizes(connection, unsure) if unsure else {}
        found: list[Origin] = []
        missing: list[Origin] = []
        room = self._max_bytes
        for origin in wanted:
            if origin not in stored and origin not in self._segments:
                missing.append(origin)
            elif (size := stored.get(origin) or self._segments[origin].size) <= room:
                found.append(origin)
                room -= size
        self._read(connection, {origin: stored[origin] for origin in found if origin in stored}, keep=found)
        made, unready = self._make(connection, missing, room)
        found += made
        for origin in found:
            self._segments.move_to_end(origin)
        self._make_room(0, keep=found)
        return Loaded({origin: self._segments[origin] for origin in found}, frozenset(unready))

    def _read(self, connection: Connection, sizes: Mapping[Origin, int], keep: Collection[Origin]) -> None:
        self._make_room(sum(sizes.values()), keep)
        for portion in _portions(sizes):
            for origin, octets in read_segments(connection, portion).items():
                self._segments[origin] = Segment(octets)
                self._makeshift.discard(origin)

    def _make(self, connection: Connection, origins: Iterable[Origin], room: int) -> tuple[list[Origin], list[Origin]]:
        """Return (what was made, what was not); what has no room is neither."""
        made: list[Origin] = []
        unready: list[Origin] = []
        ends_at = self._clock() + MAKING_SECONDS
        for origin in origins:
            if room <= 0:
                break
            octets = make_segment(connection, origin) if self._clock() < ends_at else None
            if octets is None:
                unready.append(origin)
                continue
            segment = self._segments[origin] = Segment(octets)
            if segment.count:  # one of no operations is as good as it will be
                self._makeshift.add(origin)
            made.append(origin)
            room -= segment.size
        return made, unready

    def _make_room(self, incoming: int, keep: Collection[Origin]) -> None:
        size = incoming + sum(segment.size for segment in self._segments.values())
        kept = set(keep)
        for origin in [origin for origin in self._segments if origin not in kept]:
            if size <= self._max_bytes:
                break
            size -= self._segments.pop(origin).size
            self._makeshift.discard(origin)


def _portions(sizes: Mapping[Origin, int]) -> Iterator[list[Origin]]:
    """Yield the origins in turn, as many at once as are read in one answer."""
    portion: list[Origin] = []
    size = 0
    for origin in sizes:
        if portion and size + sizes[origin] > _MOST_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(origin)
        size += sizes[origin]
    if portion:
        yield portion
