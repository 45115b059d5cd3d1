"""An excerpt of a document: its references resolved, the upper levels first, and as much as fits into so many bytes.

What lies deeper than the room reaches is left out and named, with the place by which it can be asked for: a JSON
pointer, for the rest of what is long with ``~start=`` and how much of it was shown. A schema that contains itself is
shown once on each way down.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, Literal, NamedTuple

from opdex.openapi.description import json_pointer
from opdex.openapi.document import DATA_FIELDS, NAMING_FIELDS
from opdex.openapi.numeral import Numeral
from opdex.openapi.plain_text import storable

# An entry of the description; a mapping whose keys are names that the API chose; data of the API, taken as it is; what
# there is to say of a reference that is not followed, which is in no document and so never cut.
type Kind = Literal["entry", "names", "data", "unfollowed"]
# Returns what a node stands for that may be a reference, None where that is nothing.
type Resolve = Callable[[Any], Any]
type _Seen = Mapping[str, str]  # each reference that led to a node, and the place where it stood

LEAST_BYTES: Final = 1_000
MOST_PLACE: Final = 8_000  # characters of a place that can be asked for
_CUT: Final = "…"
_SHARE: Final = 8  # an eighth of the room is for the notes, and no text is longer than that
_DEEPEST: Final = 100  # levels: a chain of schemas can be deeper than JSON is written
_LATER: Final = 4  # levels that a node waits which tells least
_OF_LITTLE_USE: Final = frozenset({"example", "examples", "encoding"})
_OF_NO_USE: Final = frozenset({"xml", "externalDocs"})
_PLACE: Final = re.compile("/?((?:[^~]|~[01])*)(?:~start=([0-9]{1,9}))?")


class Part(NamedTuple):
    """A node to be shown under a name, and where it is in what the excerpt is of.

    ``start``: how many of its entries, or of its characters, are passed over.
    """

    name: str
    place: tuple[str, ...]
    node: Any
    kind: Kind = "entry"
    start: int = 0


class _LeftOut(NamedTuple):
    """What is missing of a node: all of its units from ``start`` on."""

    place: tuple[str, ...]
    start: int
    total: int
    units: str

    def note(self) -> dict[str, str]:
        at, what = json_pointer(*self.place), f"{self.total - self.start} of {self.total} {self.units}"
        return {"at": storable(at) + (f"~start={self.start}" if self.start else ""), "what": what}


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


def excerpt(parts: Sequence[Part], resolve: Resolve, max_bytes: int) -> dict[str, Any]:
    """Return each of the parts, and under ``left_out`` what is missing of them, in ``max_bytes`` as JSON.

    ``left_out_unnamed`` counts what that had no room for. At LEAST_BYTES there is room for the first five parts if they
    are texts. Raises what ``resolve`` raises.
    """
    return _Excerpt(resolve, max_bytes).of(parts)


def find_part(parts: Sequence[Part], place: str, resolve: Resolve) -> Part | None:
    """Return what is at a place that a note of an excerpt of these parts names, None for nothing."""
    said = _PLACE.fullmatch(place)
    if said is None:
        return None
    name, *tokens = (token.replace("~1", "/").replace("~0", "~") for token in said[1].split("/"))
    part = next((part for part in parts if part.name == name), None)
    for token in tokens:
        if part is None:
            break
        node = part.node if part.kind == "data" else resolve(part.node)
        part = next((entry for entry in _entries(part, node) if storable(entry.name) == token), None)
    return None if part is None else part._replace(start=int(said[2] or 0))


class _Excerpt:
    def __init__(self, resolve: Resolve, max_bytes: int) -> None:
        self._resolve = resolve
        self._longest = max_bytes // _SHARE
        self._room = max_bytes - self._longest - json_bytes({"left_out": [], "left_out_unnamed": 10**9}) - 1
        self._left_out: list[_LeftOut] = []
        self._waiting: list[_Waiting] = []
        self._numbers = count()

    def of(self, parts: Sequence[Part]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for part in parts[self._fill(shown, parts, 0, {}) :]:
            whole = part.node if isinstance(part.node, dict | list | str) else (part.node,)
            units = "characters" if isinstance(whole, str) else "entries"
            self._left_out.append(_LeftOut(part.place, 0, len(whole), units))
        while self._waiting:
            waiting = heappop(self._waiting)
            part = waiting.part
            entries = [*_entries(part, part.node)]
            rest = entries[part.start :]
            taken = self._show(waiting, rest) if waiting.level <= _DEEPEST else 0
            if taken < len(rest):
                self._left_out.append(_LeftOut(part.place, part.start + taken, len(entries), "entries"))
        return shown | self._notes()

    def _show(self, waiting: _Waiting, entries: Sequence[Part]) -> int:
        """Put a container where it belongs, with the entries that there is room for; return how many that are."""
        container: Any = {} if isinstance(waiting.part.node, dict) else []
        gained = json_bytes(_CUT) - json_bytes(container)
        self._room += gained
        taken = self._fill(container, entries, waiting.level + 1, waiting.seen)
        if entries and not taken:
            self._room -= gained
        else:
            waiting.holder[waiting.key] = container
        return taken

    def _fill(self, container: Any, entries: Sequence[Part], level: int, seen: _Seen) -> int:
        """Add entries in their order while they fit; return how many did."""
        for position, entry in enumerate(entries):
            shown, inner = self._followed(entry, seen)
            value = self._value(shown)
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
            elif isinstance(shown.node, str) and isinstance(value, str) and len(value) < len(shown.node) - shown.start:
                end = shown.start + len(value) - len(_CUT)
                self._left_out.append(_LeftOut(shown.place, end, len(shown.node), "characters"))
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
        return entry._replace(node={"$ref": reference, "note": note}, kind="unfollowed"), seen

    def _value(self, part: Part) -> Any:
        """Return a scalar as it is shown; of a container what stands in its place for now."""
        node = part.node
        if isinstance(node, dict | list):
            return _CUT if node else node
        if isinstance(node, Numeral) and not isinstance(number := node.number(), str):
            return number
        if not isinstance(node, str):
            return node
        return storable(node) if part.kind == "unfollowed" else self._text(node[part.start :])

    def _text(self, text: str) -> str:
        shown = storable(text[: self._longest])
        while (size := json_bytes(shown)) > self._longest:
            shown = shown[: len(shown) * (self._longest - 1) // size]
        return shown if len(shown) == len(text) else shown[:-1] + _CUT

    def _notes(self) -> dict[str, Any]:
        """Return the notes that there is room for, those on upper levels first, and how many there are beside."""
        named: list[dict[str, str]] = []
        room = self._longest + self._room
        for left_out in sorted(self._left_out, key=lambda left_out: len(left_out.place)):
            note = left_out.note()
            size = json_bytes(note) + 1
            if size <= room and len(note["at"]) <= MOST_PLACE:
                named.append(note)
                room -= size
        unnamed = len(self._left_out) - len(named)
        return {"left_out": named} | ({"left_out_unnamed": unnamed} if unnamed else {})


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
        return "entry" if parent == "names" else parent
    if name == "examples" and isinstance(value, dict):
        return "names"  # of examples, each of which has its data under `value`
    return "data" if name in DATA_FIELDS else "names" if name in NAMING_FIELDS else "entry"


def _delay(entry: Part) -> int:
    """Return how many levels a node waits: examples say again what schemas say, and errors are alike."""
    match entry.place:
        case ("responses", status) if not status.startswith("2"):
            return _LATER
    return _LATER if entry.name in _OF_LITTLE_USE else 0
