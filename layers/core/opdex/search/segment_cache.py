"""The segments that a warm function holds: what never changes need not be read twice."""

from collections import OrderedDict
from collections.abc import Sequence

from opdex.catalog.segments import Origin, make_segment, read_segments
from opdex.database import Connection
from opdex.ranking.segment import Segment


class SegmentCache:
    """Segments by where their operations are stored; the least used go where they take more than ``max_bytes``.

    What one search needs stays together, whatever its size. Not for use by two threads at once.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._segments: OrderedDict[Origin, Segment] = OrderedDict()
        self._makeshift: set[Origin] = set()  # made here, until the sweep has stored better ones

    def segments(self, connection: Connection, origins: Sequence[Origin]) -> list[Segment]:
        """Return the segment of each origin, in order; those that are not held are read in one statement."""
        wanted = dict.fromkeys(
            origin for origin in origins if origin not in self._segments or origin in self._makeshift
        )
        if wanted:
            self._read(connection, list(wanted))
        for origin in origins:
            self._segments.move_to_end(origin)
        found = [self._segments[origin] for origin in origins]
        self._evict(keep=len(set(origins)))
        return found

    def _read(self, connection: Connection, origins: Sequence[Origin]) -> None:
        stored = read_segments(connection, origins)
        for origin in origins:
            if origin in stored:
                self._segments[origin] = Segment(stored[origin])
                self._makeshift.discard(origin)
            elif origin not in self._segments:
                segment = self._segments[origin] = Segment(make_segment(connection, origin))
                if segment.count:  # one of no operations is as good as it will be
                    self._makeshift.add(origin)

    def _evict(self, keep: int) -> None:
        size = sum(segment.size for segment in self._segments.values())
        while size > self._max_bytes and len(self._segments) > keep:
            origin, oldest = self._segments.popitem(last=False)
            self._makeshift.discard(origin)
            size -= oldest.size
