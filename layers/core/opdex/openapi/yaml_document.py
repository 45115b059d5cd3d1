"""YAML text to plain data, without recursion, under limits.

PyYAML's own constructors are not used. They follow YAML 1.1, where ``on`` is a boolean, ``2024-01-01`` a date and
``1.10`` the number 1.1, while OpenAPI means strings. Here a plain ``true``, ``false`` or ``null`` is what it says and
any other scalar is the string that was written, which is also how the JSON side reads numbers. Building the data from
the parser's events, one at a time, is faster than the loaders, cannot overflow the stack, and can stop at any moment.
"""

import re
from typing import Any, Final

from yaml import (
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)
from yaml._yaml import CParser
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import AliasEvent, CollectionStartEvent, NodeEvent

from opdex.errors import DocumentUnreadable
from opdex.openapi.description import Findings
from opdex.openapi.limits import Budget
from opdex.openapi.numeral import NUMERAL_START, Numeral, is_numeral
from opdex.openapi.plain_text import quoted

_PLAIN: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_CORE = "tag:yaml.org,2002:"
_TYPED_TAGS = frozenset({_CORE + "null", _CORE + "bool"})
_KNOWN_TAGS = frozenset({None, "!", *(_CORE + name for name in (
    "str", "int", "float", "bool", "null", "map", "seq", "set", "omap", "timestamp", "binary", "merge", "value",
))})  # fmt: skip
# Python writes them, and so do those who mistook one encoding for another; YAML has none of them.
_NOT_IN_YAML = re.compile("[\x7f-\x84\x86-\x9f]")
_WIDE_INDENTATION = re.compile(r"^ *+\xa0[ \xa0]*+", re.MULTILINE)
# Half a character each, as JSON has them; libyaml takes no halves, though some write YAML with them.
_HALVES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_ODD_CHARACTER = "found character that cannot start any token"
# Each directive is compared with all those before it, within one event, where no time limit reaches.
_MAX_TAG_DIRECTIVES = 100


class _Key:
    """A state of the key of a mapping under construction that is no usable text."""


_NONE_YET, _MERGE, _UNUSABLE = _Key(), _Key(), _Key()
_STILL_OPEN = (None, 0)  # what an anchor stands for before its node is complete


class _Frame:
    """A mapping or sequence under construction. ``size`` counts its nodes, aliases in full."""

    __slots__ = ("anchor", "items", "key", "merged", "size")

    def __init__(self, items: dict[str, Any] | list[Any], anchor: str | None = None) -> None:
        self.items = items
        self.anchor = anchor
        self.key: str | _Key = _NONE_YET
        self.merged: list[Any] = []
        self.size = 1


class _Composer:
    def __init__(self, budget: Budget, findings: Findings) -> None:
        self.budget = budget
        self.max_nodes, self.max_depth = budget.limits.max_nodes, budget.limits.max_depth
        self.findings = findings
        self.anchors: dict[str | None, tuple[Any, int]] = {}
        self.documents: list[Any] = []
        self.begin_line = 1
        self.frame = _Frame(self.documents)
        self.outer: list[_Frame] = []

    def compose(self, text: str) -> Any:
        if text.count("%TAG") > _MAX_TAG_DIRECTIVES:
            raise DocumentUnreadable("The document has too many %TAG directives; OpenAPI needs none, so remove them.")
        next_event = CParser(text).get_event
        count = 0
        while True:
            event = next_event()
            count += 1
            if not count & 1023:
                self.budget.check_time()
                self.budget.check_nodes(count // 2)  # a bound on keys too, which are no nodes
            if isinstance(event, ScalarEvent):
                self._take_scalar(event)
            elif isinstance(event, CollectionStartEvent):
                self._begin(event)
            elif isinstance(event, CollectionEndEvent):
                self._end()
            elif isinstance(event, AliasEvent):
                self._take_alias(event)
            elif isinstance(event, DocumentStartEvent):
                self.begin_line, _ = _place(event)
            elif isinstance(event, DocumentEndEvent):
                self._end_document()
            elif isinstance(event, StreamEndEvent):
                return self.documents[0] if self.documents else None

    def _end_document(self) -> None:
        if self.documents[-1] is None:  # a line of dashes too many, at the top or at the bottom
            self.documents.pop()
        elif len(self.documents) > 1:
            line = self.begin_line
            raise DocumentUnreadable(
                f"A second YAML document begins at line {line}; send one document alone.", line=line
            )

    def _take_scalar(self, event: ScalarEvent) -> None:
        if event.tag not in _KNOWN_TAGS:
            self._take_tag(event)
        text, frame = event.value, self.frame
        if frame.key is _NONE_YET and isinstance(frame.items, dict):
            # Keys are never typed: `on:` and `200:` are what they look like.
            frame.key = _MERGE if text == "<<" and event.implicit[0] else text
            if event.anchor is not None:
                self.anchors[event.anchor] = (text, 1)
            return
        typed = event.tag in _TYPED_TAGS if event.tag else event.implicit[0]
        value = _PLAIN.get(text, text) if typed else text
        if typed and text[:1] in NUMERAL_START and is_numeral(text):
            value = Numeral(text)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)
        self._add(value, 1)

    def _begin(self, event: CollectionStartEvent) -> None:
        if event.tag not in _KNOWN_TAGS:
            self._take_tag(event)
        self.outer.append(self.frame)
        if len(self.outer) > self.max_depth:
            self.budget.check_depth(len(self.outer), line=_place(event)[0])
        self.frame = _Frame({} if isinstance(event, MappingStartEvent) else [], event.anchor)
        if event.anchor is not None:
            self.anchors[event.anchor] = _STILL_OPEN

    def _end(self) -> None:
        done = self.frame
        if done.merged:
            self._merge(done)
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.items, done.size)
        self.frame = self.outer.pop()
        self._add(done.items, done.size)

    def _take_tag(self, event: NodeEvent) -> None:
        """Leave out a tag of the publisher's own tools, such as ``!Sub``; refuse one that asks for an object."""
        tag = getattr(event, "tag", "")
        line, column = _place(event)
        if not tag.startswith("!"):
            raise DocumentUnreadable(
                f"The YAML tag {quoted(tag)} at line {line} is not part of OpenAPI; remove it.",
                line=line,
                column=column,
            )
        key = [self.frame.key] if isinstance(self.frame.key, str) else []
        message = f"The YAML tag {quoted(tag)} means nothing here; it was left out."
        self.findings.add("unknown_tag", message, *self._path(), *key)

    def _take_alias(self, event: AliasEvent) -> None:
        found = self.anchors.get(event.anchor)
        if found is None:
            line, column = _place(event)
            raise DocumentUnreadable(
                f"Line {line} uses the alias {quoted(event.anchor)}, but no anchor of that name stands before it.",
                line=line,
                column=column,
            )
        if found is _STILL_OPEN:
            message = f"The alias {quoted(event.anchor)} contains itself; it is taken as null."
            self.findings.add("alias_cycle", message, *self._path())
        self.budget.expand(found[1])
        self._add(*found)

    def _add(self, value: Any, size: int) -> None:
        """Put a complete node where it belongs: into a list, or into a mapping as a value or (text alone) a key."""
        frame = self.frame
        frame.size += size
        if frame.size > self.max_nodes:
            self.budget.check_nodes(frame.size)
        items, key = frame.items, frame.key
        if isinstance(items, list):
            items.append(value)
            return
        if key is _NONE_YET:
            frame.key = value if isinstance(value, str) else _UNUSABLE
            return
        frame.key = _NONE_YET
        if isinstance(key, str):
            if key in items:
                message = f"The key {quoted(key)} is there twice; the last one is used."
                self.findings.add("duplicate_key", message, *self._path(), key)
            items[key] = value
        elif key is _MERGE:
            frame.merged += value if isinstance(value, list) else [value]
        else:
            message = "A key that is itself a mapping, a list or null was skipped; write it as text."
            self.findings.add("unusable_key", message, *self._path())

    def _merge(self, frame: _Frame) -> None:
        """Add the entries of ``<<`` that the mapping does not have itself; of several sources the first wins."""
        for source in frame.merged:
            if isinstance(source, dict) and isinstance(frame.items, dict):
                for key, value in source.items():
                    frame.items.setdefault(key, value)
            else:
                self.findings.add(
                    "unusable_merge", "The value of this << is no mapping; it was skipped.", *self._path()
                )

    def _path(self) -> list[str | int]:
        """Return what leads to the frame under construction; inside of a key or a merge, to the mapping around it."""
        path: list[str | int] = []
        for frame in self.outer[1:]:
            if isinstance(frame.items, list):
                path.append(len(frame.items))
            elif isinstance(frame.key, str):
                path.append(frame.key)
            else:
                break
        return path


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def read_yaml(text: str, budget: Budget, findings: Findings) -> Any:
    """Return the data of one YAML document: dicts with string keys, lists, strings, booleans and None.

    Raises DocumentUnreadable with line and column, or DocumentTooComplex with the limit that was passed.
    """
    text = _mended(text, findings)
    try:
        return _Composer(budget, findings).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = "; ".join(filter(None, (error.problem, error.context))) or "it cannot be parsed"
        if error.problem == _ODD_CHARACTER and mark and (character := text[mark.index : mark.index + 1]):
            advice = "indent with spaces" if character == "\t" else "put the value in quotes"
            problem = f"{quoted(character) if character != '\t' else 'a tab'} cannot stand here; {advice}"
        raise DocumentUnreadable(
            f"The document is not valid YAML at line {line}, column {column}: {problem}.", line=line, column=column
        ) from None
    except YAMLError as error:
        position = getattr(error, "position", None)
        raise DocumentUnreadable(
            f"The document is not valid YAML: the character at position {position} is not allowed; "
            "remove control characters.",
            position=position,
        ) from None


def _mended(text: str, findings: Findings) -> str:
    """Return the text without what libyaml refuses and a reader would hardly see."""
    if ("\x7f" in text or not text.isascii()) and _NOT_IN_YAML.search(text):
        findings.add("control_character", "Control characters, which YAML does not allow, were replaced.")
        text = _NOT_IN_YAML.sub("\ufffd", text)
    if "\xa0" in text and _WIDE_INDENTATION.search(text):
        findings.add("no_break_space", "Lines were indented with no-break spaces, which were taken for spaces.")
        text = _WIDE_INDENTATION.sub(lambda found: " " * len(found[0]), text)
    text = text.replace("\ufeff", "")
    if "\\u" in text:
        text = _HALVES.sub(lambda pair: bytes.fromhex(pair[1] + pair[2]).decode("utf-16-be"), text)
    return text
