"""Where a search looks: segments beside each other, each operation known by one number over all of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from opdex.ranking.segment import Places, Segment


class Scope:
    """The segments of a search. Operation n of all is operation n - starts[i] of segment i."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        self.starts = np.cumsum([0, *(segment.count for segment in segments)])
        self.count = int(self.starts[-1])

    def locate(self, number: int) -> tuple[int, int]:
        """Return (which segment, place in it) of an operation."""
        which = int(np.searchsorted(self.starts, number, "right")) - 1
        return which, number - int(self.starts[which])

    def text_hashes(self, numbers: NDArray[np.intp]) -> bytes:
        """Return the keys of the operations' vectors in one piece, 32 octets each."""
        hashes = np.empty((len(numbers), 32), np.uint8)
        which = np.searchsorted(self.starts, numbers, "right") - 1
        for segment in np.unique(which):
            inside = which == segment
            hashes[inside] = self.segments[segment].text_hashes[numbers[inside] - self.starts[segment]]
        return hashes.tobytes()

    def producers_of(self, number: int) -> list[Places]:
        """Return the numbers of what produces each thing that the operation needs."""
        which, place = self.locate(number)
        return [
            producers.astype(np.intp) + self.starts[which] for producers in self.segments[which].producers_of(place)
        ]

    def numbers_of(self, prefixes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return (which of the text prefixes, number) of each operation that has such a text."""
        found = [segment.places_of(prefixes) for segment in self.segments]
        which = [which for which, _ in found]
        numbers = [places + start for (_, places), start in zip(found, self.starts, strict=False)]
        if not found:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        return np.concatenate(which), np.concatenate(numbers)

    def passing(self, method: str | None, tag: str | None, deprecated: bool | None) -> NDArray[np.bool_]:
        """Return which operations pass the filters; None lets all pass. Methods are compared without regard to case."""
        if method is None and tag is None and deprecated is None:
            return np.ones(self.count, bool)

        def kept(segment: Segment) -> NDArray[np.bool_]:
            passing = np.ones(segment.count, bool)
            if method is not None:
                codes = [code for code, name in enumerate(segment.method_names) if name.upper() == method.upper()]
                passing &= np.isin(segment.methods, codes)
            if tag is not None:
                passing &= _has_tag(segment, tag)
            if deprecated is not None:
                passing &= segment.deprecated == deprecated
            return passing

        return self._over(kept, bool)

    @cached_property
    def methods(self) -> tuple[list[str], NDArray[np.intp]]:
        """The methods' names, and which of them each operation has."""
        names = list(dict.fromkeys(name for segment in self.segments for name in segment.method_names))
        codes = {name: code for code, name in enumerate(names)}
        return names, self._over(
            lambda segment: np.array([codes[name] for name in segment.method_names], np.intp)[segment.methods], np.intp
        )

    def verb_counts(self, verb: int) -> Counter[str]:
        """Return how many operations of each method begin with the verb of this key."""
        counts: Counter[str] = Counter()
        for segment in self.segments:
            for method, count in segment.verb_counts(verb).items():
                counts[method] += count
        return counts

    def _over[T: np.generic](self, values: Callable[[Segment], NDArray[T]], dtype: type) -> NDArray[T]:
        return np.concatenate([np.empty(0, dtype), *(values(segment) for segment in self.segments)])


def _has_tag(segment: Segment, tag: str) -> NDArray[np.bool_]:
    tagged = np.zeros(segment.count, bool)
    if tag in segment.tag_names:
        having = np.flatnonzero(segment.tags.values == segment.tag_names.index(tag))
        tagged[np.searchsorted(segment.tags.starts, having, "right") - 1] = True
    return tagged
