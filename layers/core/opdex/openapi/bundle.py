"""One document made of the files of an archive. What is not in the archive is never read, from wherever it may be.

The entry file becomes the document; each file that a reference leads to, from wherever, stands whole under
``x-bundled-files``, and the references are local ones to there. So files may refer to each other in circles, and what a
file holds has one place, however often it is referred to.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from opdex.errors import DocumentError, DocumentTooComplex, MalformedRequest
from opdex.openapi.archive import MAX_NAME, normal_name, read_archive
from opdex.openapi.description import Findings, Warning  # noqa: A004 - see there
from opdex.openapi.document import openapi_version, places, read_data, read_document, survey
from opdex.openapi.limits import Budget, Limits
from opdex.openapi.numeral import Numeral
from opdex.openapi.plain_text import quoted
from opdex.openapi.references import References
from opdex.openapi.unpacking import decode, hold_to_size, too_many_bytes

_FIELD: Final = "x-bundled-files"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MAX_PATH: Final = 2 * MAX_NAME  # with percent signs and detours; comparing spellings takes the square of the length
_UNESCAPED: Final = "~!$&'()*+,;=:@"
_TEXT_SUFFIXES: Final = (".md", ".markdown", ".txt", ".html", ".xml", ".csv")
_LOOKS_LIKE_ENTRY: Final = re.compile(rb"""^[ \t{]*+["']?(?:openapi|swagger)["']?[ \t]*+:""", re.MULTILINE)
_LOOKED_AT: Final = 64 * 1024
_LISTED: Final = 10
# Where the specification has no references, and nobody who reads the document expects any.
_WITHOUT_REFERENCES: Final = frozenset({"info", "servers", "tags", "security", "externalDocs"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """A document, and what was wrong with the files that it is made of."""

    content: bytes
    warnings: tuple[Warning, ...]


def bundle_archive(raw: bytes, entry: str | None, limits: Limits) -> Bundle:
    """Return the document that a zip archive holds, and that begins in its file ``entry``.

    Raises MalformedRequest where that file is not known; else as read_archive and bundle do.
    """
    files = read_archive(raw, limits)
    return bundle(files, choose_entry(files, entry), limits)


def choose_entry(files: Mapping[str, bytes], entry: str | None) -> str:
    """Return the name of the file that the document begins in.

    Without ``entry`` it is the only file, or the only one that says which version it follows. Raises MalformedRequest.
    """
    likely = [name for name, content in files.items() if _LOOKS_LIKE_ENTRY.search(content[:_LOOKED_AT])]
    if entry is None:
        candidates = list(files) if len(files) == 1 else likely
        if len(candidates) == 1:
            return candidates[0]
        problem = "name the file that the document begins in"
    else:
        name = normal_name(posixpath.normpath(entry))
        if name in files:
            return name
        problem = f"the archive has no file {quoted(entry)}; name the one that the document begins in"
    known = [quoted(name) for name in sorted(likely or files)[:_LISTED]]
    listed = f"; perhaps {', '.join(known)}" if known else "; it is empty"
    raise MalformedRequest(
        f"The query parameter `entry`: {problem}{listed}.",
        fields=[{"in": "query", "name": "entry", "problem": problem}],
        files=known,
    )


def bundle(files: Mapping[str, bytes], entry: str, limits: Limits) -> Bundle:
    """Return the document that begins in the file ``entry``, together with all files that it refers to.

    The same files give the same octets; where no other is referred to, they are the entry's own. A file that cannot be
    read, or is not there, is a warning, unless it is the entry. Raises a DocumentError, or TooLarge.
    """
    return _Bundler(files, entry, limits).bundle()


class _Bundler:
    def __init__(self, files: Mapping[str, bytes], entry: str, limits: Limits) -> None:
        self._files = files
        self._entry = entry
        self._limits = limits
        self._budget = Budget(limits)
        self._findings = Findings()
        self._data: dict[str, Any] = {}
        self._known = {entry}
        self._waiting: list[str] = []
        self._referring: dict[str, str] = {}  # by file: the first one that refers to it
        self._missing: set[str] = set()
        self._field = _FIELD
        self._characters = 0
        self._nodes = 0

    def bundle(self) -> Bundle:
        document: dict[str, Any] = dict(read_document(self._files[self._entry], self._budget, self._findings))
        openapi_version(document)
        while self._field in document:
            self._field += "-"
        self._data[self._entry] = document
        self._point_inside(self._entry)
        if not self._waiting:  # a document of one file is what it is, to the octet
            return Bundle(self._files[self._entry], ())
        while self._waiting:
            self._take(self._waiting.pop())
        self._report_missing()
        others = {name: self._data[name] for name in sorted(self._data) if name != self._entry}
        if others:
            document[self._field] = others
        self._settle(document)
        survey(document, self._budget)
        self._hold_to_size(document)
        # What is not to be encoded, half a surrogate pair, is written as JSON escapes it.
        written = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
        hold_to_size(written, self._limits.max_bytes)
        return Bundle(written, self._findings.warnings())

    def _take(self, name: str) -> None:
        if name not in self._files:
            self._missing.add(name)
            return
        findings = _FindingsWithin(self._findings, self._field, name)
        try:
            if name.lower().endswith(_TEXT_SUFFIXES):
                self._data[name] = decode(self._files[name])
            else:
                self._data[name] = read_data(self._files[name], self._budget, findings)
        except DocumentTooComplex:
            raise
        except DocumentError as error:
            self._findings.add("unreadable_file", f"The file {quoted(name)} cannot be read. {error.message}")
            return
        self._point_inside(name)

    def _point_inside(self, name: str) -> None:
        """Make the references of a file local ones of the bundle, and its numerals numbers, as JSON writes them."""
        pointing: dict[str, str] = {}
        for container in _containers(self._data[name]):
            self._budget.check_time()
            self._nodes += len(container)
            self._budget.check_nodes(self._nodes)  # of all files that have been read so far
            for key, value in _entries(container):
                if type(value) is Numeral:
                    container[key] = value.number()
            reference = container.get("$ref") if isinstance(container, dict) else None
            if isinstance(reference, str):
                if reference not in pointing:
                    pointing[reference] = self._pointer(name, reference)
                container["$ref"] = pointing[reference]
                self._count(len(pointing[reference]))

    def _pointer(self, name: str, reference: str) -> str:
        """Return the reference as it reads within the bundle; one that leads out of the archive stays what it is."""
        path, _, fragment = reference.partition("#")
        target = _named_file(name, path) if path else name
        if target is None or (fragment and not fragment.startswith("/")):
            return reference
        if fragment == "/":  # meant to be the whole file, time and again
            fragment = ""
        if target not in self._known:
            self._known.add(target)
            self._waiting.append(target)
            self._referring[target] = name
        elif target == name != self._entry and self._is_in_entry_only(name, fragment):
            message = f"{quoted(reference)} is not in {quoted(name)}; what {quoted(self._entry)} has there is used."
            self._findings.add("reference_to_entry", message)
            target = self._entry
        return f"#{self._place(target)}{fragment}"

    def _is_in_entry_only(self, name: str, fragment: str) -> bool:
        token = fragment.split("/", 2)[1] if fragment else ""
        own = self._data[name]
        return token in self._data[self._entry] and not (isinstance(own, dict) and token in own)

    def _place(self, name: str) -> str:
        if name == self._entry:
            return ""
        token = name.replace("~", "~0").replace("/", "~1")
        return f"/{self._field}/{quote(token, safe=_UNESCAPED, errors='surrogatepass')}"

    def _report_missing(self) -> None:
        wanted = {f"#{self._place(name)}": name for name in sorted(self._missing)}
        found: dict[str, list[str | int]] = {}
        for referring in sorted({self._referring[name] for name in self._missing}):
            data, beginning = self._data[referring], [] if referring == self._entry else [self._field, referring]
            for node, tokens in places(data) if isinstance(data, dict) else ():
                self._budget.check_time()
                reference = node.get("$ref")
                if isinstance(reference, str) and (name := wanted.get("/".join(reference.split("/", 3)[:3]))):
                    found.setdefault(name, [*beginning, *tokens])
        for name in wanted.values():  # what an example refers to has no place in the description
            message = f"The archive has no file {quoted(name)}, which is referred to."
            self._findings.add("missing_file", message, *found.get(name, ()))

    def _settle(self, document: dict[str, Any]) -> None:
        """Put single values in the place of references to them, and warn of the references that lead nowhere."""
        references = References(document, self._budget)
        targets: dict[str, Any] = {}
        for container in _containers(document):
            self._budget.check_time()
            for key, value in _entries(container):
                reference = value.get("$ref") if isinstance(value, dict) else None
                if not isinstance(reference, str):
                    continue
                if reference not in targets:
                    targets[reference] = references.resolve({"$ref": reference})
                target = targets[reference]
                if len(value) == 1 and target is not None:
                    single = not isinstance(target, dict | list)
                    if single or (container is document and key in _WITHOUT_REFERENCES):
                        container[key] = target
        broken = {reference for reference, target in targets.items() if target is None}
        for name, data in document.get(self._field, {}).items() if broken else ():
            self._report(name, data, broken)

    def _report(self, name: str, data: Any, broken: set[str]) -> None:
        # The entry's own are found with all else that is wrong with the document.
        for node, tokens in places(data) if isinstance(data, dict) else ():
            self._budget.check_time()
            reference = node.get("$ref")
            if isinstance(reference, str) and reference in broken:
                message = f"{quoted(reference)} leads nowhere, or out of the archive."
                self._findings.add("unresolved_reference", message, self._field, name, *tokens)

    def _hold_to_size(self, document: dict[str, Any]) -> None:
        # Aliases are written out, each time, so that what is written may be far larger than what was read.
        self._characters = 0
        rest: list[Any] = [document]
        while rest:
            self._budget.check_time()
            container = rest.pop()
            values = container if isinstance(container, list) else [*container, *container.values()]
            self._count(sum(len(value) for value in values if isinstance(value, str)))
            rest += [value for value in values if isinstance(value, dict | list)]

    def _count(self, characters: int) -> None:
        self._characters += characters
        if self._characters > self._limits.max_bytes:
            raise too_many_bytes(self._limits.max_bytes)


class _FindingsWithin(Findings):
    """Notes what is found in a file at the place that the file has in the document."""

    def __init__(self, findings: Findings, *place: str) -> None:
        super().__init__()
        self._findings = findings
        self._place = place

    def add(self, code: str, message: str, *tokens: str | int) -> None:
        """Note one finding at the place that the tokens lead to within the file."""
        self._findings.add(code, message, *self._place, *tokens)


def _named_file(base: str, path: str) -> str | None:
    """Return the name of the file at a relative URL, as seen from the file ``base``; None where it leads out."""
    if len(path) > _MAX_PATH or _SCHEME.match(path) or path.startswith("//") or "?" in path:
        return None
    path = unquote(path).replace("\\", "/")
    name = posixpath.normpath(posixpath.join(posixpath.dirname(base), path).lstrip("/"))
    return None if name == ".." or name.startswith("../") else normal_name(name)


def _entries(container: Any) -> Iterable[tuple[Any, Any]]:
    return container.items() if isinstance(container, dict) else enumerate(container)


def _containers(data: Any) -> Iterator[Any]:
    """Yield each mapping and list once, however many aliases there are of it."""
    seen: set[int] = set()
    rest = [data]
    while rest:
        container = rest.pop()
        if isinstance(container, dict | list) and id(container) not in seen:
            seen.add(id(container))
            yield container
            rest += [value for _, value in _entries(container) if isinstance(value, dict | list)]
