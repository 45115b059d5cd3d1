"""A segment as it is read: views of its octets, so that opening one costs next to nothing."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Places = NDArray[np.integer[Any]]


class Rows:
    """Rows of unequal length in one array."""

    def __init__(self, values: NDArray[Any], starts: NDArray[Any]) -> None:
        self.values = values
        self.starts = starts

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.starts[row] : self.starts[row + 1]]

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True)
class InvertedIndex:
    """Terms by their sorted keys; row i of ``places`` has the operations that say term i, as ``weights`` has how
    much."""

    keys: NDArray[np.uint64]
    places: Rows
    weights: Rows

    def rows_of(self, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return the row of each key; -1 for a term that nothing says."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.intp)
        rows = np.minimum(self.keys.searchsorted(keys), len(self.keys) - 1)
        return np.where(self.keys[rows] == keys, rows, -1)

    def counts(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return how many operations say each term."""
        rows, starts = self.rows_of(keys), self.places.starts
        return np.where(rows >= 0, starts[rows + 1].astype(np.int64) - starts[rows], 0)

    def postings(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Return (which of the terms, place, weight) of each operation that says a term, term after term."""
        rows = self.rows_of(keys)
        which = np.flatnonzero(rows >= 0)
        starts = self.places.starts[rows[which]].astype(np.intp)
        lengths = self.places.starts[rows[which] + 1] - starts
        ends = lengths.cumsum()
        at = (starts - ends + lengths).repeat(lengths)
        at += np.arange(len(at))
        return which.repeat(lengths), self.places.values[at].astype(np.intp), self.weights.values[at].astype("f4")


class Segment:
    """One revision's operations, by their place in it."""

    def __init__(self, octets: bytes) -> None:
        end = octets.index(b"\n") + 1
        head = json.loads(octets[:end])
        arrays = {
            name: np.frombuffer(octets, dtype, length // np.dtype(dtype).itemsize, end + start)
            for name, (dtype, start, length) in head["arrays"].items()
        }

        def rows(name: str, starts: str | None = None) -> Rows:
            return Rows(arrays[name], arrays[f"{starts or name}_starts"])

        self.size = len(octets)
        self.count: int = head["count"]
        self.method_names: list[str] = head["methods"]
        self.tag_names: list[str] = head["tags"]
        self.text_hashes = arrays["text_hashes"].reshape(self.count, 32)
        self.methods = arrays["methods"]
        self.deprecated = arrays["deprecated"].astype(bool)
        self.tags = rows("tags")
        self.needs = rows("needs")
        self.producers = rows("producers")
        self.terms, self.names = (
            InvertedIndex(arrays[name], rows(f"{name}_places"), rows(f"{name}_weights", f"{name}_places"))
            for name in ("terms", "names")
        )
        self._verbs = arrays["verbs"]
        self._verb_methods = arrays["verb_methods"]
        self._verb_counts = arrays["verb_counts"]

    def verb_counts(self, verb: int) -> dict[str, int]:
        """Return how many operations of each method begin with the verb of this key."""
        first, end = (int(self._verbs.searchsorted(np.uint64(verb), side)) for side in ("left", "right"))
        return {self.method_names[self._verb_methods[i]]: int(self._verb_counts[i]) for i in range(first, end)}

    def producers_of(self, place: int) -> list[Places]:
        """Return, for each thing that the operation needs, the places of what produces it."""
        return [self.producers[need] for need in self.needs[place]]

    def places_of(self, prefixes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return (which of the text hashes' first eight octets, place) of each operation that has such a text."""
        order, keys = self._by_text
        first, end = np.searchsorted(keys, prefixes, "left"), np.searchsorted(keys, prefixes, "right")
        found = np.flatnonzero(end > first)
        which = np.repeat(found, (end - first)[found])
        places = [order[first[i] : end[i]] for i in found]
        return which, np.concatenate(places) if places else np.empty(0, np.intp)

    @cached_property
    def _by_text(self) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
        prefixes = text_prefixes(self.text_hashes)
        order = np.argsort(prefixes, kind="stable")
        return order, prefixes[order]


def text_prefixes(text_hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the first eight octets of each hash as a number: as good as the hash, among millions."""
    return np.ascontiguousarray(text_hashes[:, :8]).view("<u8").reshape(-1)
