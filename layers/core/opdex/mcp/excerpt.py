"""An excerpt of a document: its references resolved, the upper levels first, and as much as fits into so many bytes.

What lies deeper than the room reaches is left out and named, with the place by which it can be asked for. A schema that
contains itself is shown once on each way down.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, Literal, NamedTuple

from opdex.openapi.description import json_pointer
from opdex.openapi.document import DATA_FIELDS, NAMING_FIELDS
from opdex.openapi.numeral import Numeral
from opdex.openapi.plain_text import storable

# An entry of the description; a mapping whose keys are names that the API chose; data of the API, taken as it is.
type Kind = Literal["entry", "names", "data"]
# Returns what a node stands for that may be a reference, None where that is nothing.
type Resolve = Callable[[Any], Any]
type _Seen = Mapping[str, str]  # each reference that led to a node, and the place where it stood

LEAST_BYTES: Final = 1_000
_CUT: Final = "…"
_SHARE: Final = 8  # an eighth of the room is for the notes, and no text is longer than that
_DEEPEST: Final = 100  # levels: a chain of schemas can be deeper than JSON is written
_LATER: Final = 4  # levels that a node waits which tells least
_MOST_PLACE: Final = 300  # characters of a place that a note names
_OF_LITTLE_USE: Final = frozenset({"example", "examples", "encoding"})
_OF_NO_USE: Final = frozenset({"xml", "externalDocs"})


class Part(NamedTuple):
    """A node to be shown under a name, and where it is in what the excerpt is of."""

    name: str
    place: tuple[str, ...]
    node: Any
    kind: Kind = "entry"


class _Waiting(NamedTuple):
    """A container for which something stands in its holder, until there is time and room for itself."""

    level: int
    number: int
    holder: Any
    key: Any
    part: Part
    seen: _Seen


def json_bytes(value: Any) -> int:
    """Return how many bytes a value takes as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def excerpt(head: Mapping[str, Any], parts: Sequence[Part], resolve: Resolve, max_bytes: int) -> dict[str, Any]:
    """Return the head, each of the parts, and under ``left_out`` what is missing of them, in ``max_bytes`` as JSON.

    At LEAST_BYTES there is room for the first five texts of the head. Raises what ``resolve`` raises.
    """
    return _Excerpt(resolve, max_bytes).of([Part(name, (), value, "data") for name, value in head.items()], parts)


def find_part(parts: Sequence[Part], place: str, resolve: Resolve) -> Part | None:
    """Return what is at a place that a note of an excerpt of these parts names, None for nothing."""
    name, *tokens = (token.replace("~1", "/").replace("~0", "~") for token in place.removeprefix("/").split("/"))
    part = next((part for part in parts if part.name == name), None)
    for token in tokens:
        if part is None:
            break
        node = part.node if part.kind == "data" else resolve(part.node)
        part = next((entry for entry in _entries(part, node) if entry.name == token), None)
    return part


class _Excerpt:
    def __init__(self, resolve: Resolve, max_bytes: int) -> None:
        self._resolve = resolve
        self._longest = max_bytes // _SHARE
        self._room = max_bytes - self._longest - json_bytes({"left_out": []}) - 1
        self._notes: list[tuple[tuple[str, ...], str]] = []
        self._waiting: list[_Waiting] = []
        self._numbers = count()

    def of(self, head: Sequence[Part], parts: Sequence[Part]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        self._fill(shown, (*head, *parts), 0, {})
        while self._waiting:
            waiting = heappop(self._waiting)
            if waiting.level > _DEEPEST or not self._show(waiting):
                self._notes.append((waiting.part.place, f"all {len(waiting.part.node)} entries"))
        shown["left_out"] = self._named_notes()
        return shown

    def _show(self, waiting: _Waiting) -> bool:
        """Put a container where it belongs, with the entries that there is room for; False where there is for none."""
        part = waiting.part
        container: Any = {} if isinstance(part.node, dict) else []
        entries = [*_entries(part, part.node)]
        gained = json_bytes(_CUT) - json_bytes(container)
        self._room += gained
        taken = self._fill(container, entries, waiting.level + 1, waiting.seen)
        if entries and not taken:
            self._room -= gained
            return False
        waiting.holder[waiting.key] = container
        if taken < len(entries):
            self._notes.append((part.place, f"{len(entries) - taken} of {len(entries)} entries"))
        return True

    def _fill(self, container: Any, entries: Sequence[Part], level: int, seen: _Seen) -> int:
        """Add entries in their order while they fit; return how many did."""
        for position, entry in enumerate(entries):
            shown, inner = self._followed(entry, seen)
            value = self._value(shown.node)
            key = storable(entry.name) if isinstance(container, dict) else position
            cost = json_bytes(value) + 1 + (json_bytes(key) + 1 if isinstance(key, str) else 0)
            if cost > self._room:
                return position
            self._room -= cost
            if isinstance(key, str):
                container[key] = value
            else:
                container.append(value)
            if isinstance(shown.node, dict | list) and shown.node:
                rank = level + _delay(entry)
                heappush(self._waiting, _Waiting(rank, next(self._numbers), container, key, shown, inner))
            elif isinstance(shown.node, str) and isinstance(value, str) and len(value) < len(shown.node):
                missing = len(shown.node) - len(value) + len(_CUT)
                self._notes.append((entry.place, f"{missing} of {len(shown.node)} characters"))
        return len(entries)

    def _followed(self, entry: Part, seen: _Seen) -> tuple[Part, _Seen]:
        """Return the entry with what its node stands for, or with what there is to say of one that is not followed."""
        reference = entry.node.get("$ref") if entry.kind != "data" and isinstance(entry.node, dict) else None
        if not isinstance(reference, str):
            return entry, seen
        if reference in seen:
            note = f"recursive: as at {seen[reference]}"
        elif (target := self._resolve(entry.node)) is None:
            note = "not in this document"
        else:
            return entry._replace(node=target), {**seen, reference: json_pointer(*entry.place)}
        return entry._replace(node={"$ref": reference, "note": note}, kind="data"), seen

    def _value(self, node: Any) -> Any:
        """Return a scalar as it is shown; of a container what stands in its place for now."""
        if isinstance(node, dict | list):
            return _CUT if node else node
        if isinstance(node, Numeral) and not isinstance(number := node.number(), str):
            return number
        return self._text(node) if isinstance(node, str) else node

    def _text(self, text: str) -> str:
        shown = storable(text[: self._longest])
        while (size := json_bytes(shown)) > self._longest:
            shown = shown[: len(shown) * (self._longest - 1) // size]
        return shown if len(shown) == len(text) else shown[:-1] + _CUT

    def _named_notes(self) -> list[dict[str, str]]:
        """Return the notes as far as their share of the room goes; where there are more, the last one counts them."""
        named: list[dict[str, str]] = []
        room = self._longest
        for position, (place, what) in enumerate(self._notes):
            pointer, more = json_pointer(*place), len(self._notes) - position
            note, rest = {"at": storable(pointer), "what": what}, {"at": "", "what": f"more at {more} places"}
            room -= json_bytes(note) + 1
            if len(pointer) > _MOST_PLACE or room < (json_bytes(rest) + 1 if more > 1 else 0):
                return [*named, rest]
            named.append(note)
        return named


def _entries(part: Part, node: Any) -> Iterator[Part]:
    """Yield what is in a container, without what is only for the publisher's own tools."""
    if isinstance(node, list):
        kind: Kind = "data" if part.kind == "data" else "entry"
        yield from (Part(str(n), (*part.place, str(n)), value, kind) for n, value in enumerate(node))
    elif isinstance(node, dict):
        for name, value in node.items():
            if part.kind != "entry" or not (name in _OF_NO_USE or name.startswith("x-")):
                yield Part(name, (*part.place, name), value, _kind(part.kind, name, value))


def _kind(parent: Kind, name: str, value: Any) -> Kind:
    if parent != "entry":
        return "data" if parent == "data" else "entry"
    if name == "examples" and isinstance(value, dict):
        return "names"  # of examples, each of which has its data under `value`
    return "data" if name in DATA_FIELDS else "names" if name in NAMING_FIELDS else "entry"


def _delay(entry: Part) -> int:
    """Return how many levels a node waits: examples say again what schemas say, and errors are alike."""
    match entry.place:
        case ("responses", status) if not status.startswith("2"):
            return _LATER
    return _LATER if entry.name in _OF_LITTLE_USE else 0
