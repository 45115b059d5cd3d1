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
        return _rows_of(self.keys, keys)


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
        first, end = np.searchsorted(self._verbs, np.array([verb, verb], np.uint64), "left")[0], 0
        end = int(np.searchsorted(self._verbs, np.uint64(verb), "right"))
        return {self.method_names[self._verb_methods[i]]: int(self._verb_counts[i]) for i in range(int(first), end)}

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


def _rows_of(sorted_keys: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    if not len(sorted_keys):
        return np.full(len(keys), -1, np.intp)
    rows = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.where(sorted_keys[rows] == keys, rows, -1)
