"""``SPEC=``: sends one document to the running system over HTTP, and shows its indexing to the end."""

import gzip
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from local.endpoint import Endpoint
from local.errors import LocalRunError
from opdex.errors import OpdexError
from opdex.openapi.archive import is_zip
from opdex.openapi.reader import DocumentReader
from opdex.settings import DocumentSettings

CATALOG = "local"
_POLL_SECONDS = 0.2
_LINE_SECONDS = 2.0  # where no bar can be drawn
_PATIENCE_SECONDS = 30.0
# A function is invoked with at most 6 MB: the document as base64, and the rest of the event.
_MOST_BYTES = (6 * 1024 * 1024 - 16 * 1024) * 3 // 4


@dataclass(frozen=True)
class Document:
    """What SPEC names: the spec name that it gets, and the document as it is sent, gzip'd or as a zip.

    ``entry`` is the file of a zip that it begins in, where that has to be said.
    """

    spec_name: str
    body: bytes
    entry: str | None = None


def read_document(spec: str, entry: str | None = None) -> Document:
    """Return the document of a file or an http(s) URL. Raises LocalRunError where it could not be indexed."""
    raw, path = _fetch(spec) if re.match(r"https?://", spec) else _read(spec)
    try:
        DocumentReader(DocumentSettings()).read(raw, entry)
    except OpdexError as error:
        complaint = " ".join(error.message.split()).replace("The query parameter `entry`", "ENTRY")
        raise LocalRunError(f"SPEC {spec} cannot be indexed: {complaint}") from None
    body = raw if raw.startswith(b"\x1f\x8b") or is_zip(raw) else gzip.compress(raw)
    if len(body) > _MOST_BYTES:
        sizes = f"{len(body) / 1e6:.1f} MB packed, a function takes {_MOST_BYTES / 1e6:.1f} MB"
        raise LocalRunError(f"SPEC {spec} cannot be sent ({sizes}): split it.")
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return Document(re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-")[:64] or "spec", body, entry)


def _read(spec: str) -> tuple[bytes, PurePath]:
    path = Path(spec).expanduser()
    try:
        return path.read_bytes(), path
    except OSError as error:
        raise LocalRunError(f"SPEC {spec} cannot be read ({error.strerror}): give a file or a URL.") from None


def _fetch(spec: str) -> tuple[bytes, PurePath]:
    try:
        answer = httpx.get(spec, timeout=60, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error)
    else:
        if answer.is_success:
            return answer.content, PurePosixPath(urlsplit(spec).path)
        reason = f"{answer.status_code} {answer.reason_phrase}"
    raise LocalRunError(f"SPEC {spec} cannot be fetched ({reason}): check the address, or give a file.")


class Indexing:
    """One document's way through a running system, told on a console."""

    def __init__(self, endpoint: Endpoint, document: Document, watch: Callable[[], None], console: Console) -> None:
        self._spec_name = document.spec_name
        self._body = document.body
        self._entry = document.entry
        self._watch = watch
        self._console = console
        self._told = ""
        self._client = httpx.Client(
            base_url=f"{endpoint.url}/api/v1/admin/", headers={"X-API-Key": endpoint.api_key}, timeout=60
        )

    def run(self, *, paused: bool) -> None:
        """Send the document, and return when its job has ended, or at once where embedding is ``paused``.

        Raises LocalRunError where the document is refused or its job fails.
        """
        started = time.monotonic()
        self._create_catalog()
        self._upload()
        status = self._follow(paused=paused)
        seconds = time.monotonic() - started
        count = status["embedding_count"]
        match status.get("job_status"):
            case "failed" | "cancelled":
                raise LocalRunError(f"{self._spec_name} was not indexed: {status.get('job_last_error')}")
            case "pending" | "running":
                self._say("Embedding is paused (WORKERS=0): start again with a worker, and it is indexed.")
            case _ if count == 0:
                self._say("The document has no operations, so there is nothing to search for.")
            case _:
                self._say(
                    f"All {count} operations are searchable after {seconds:.1f} s ({count / seconds:.0f} a second)."
                )

    def _create_catalog(self) -> None:
        catalog = {"id": CATALOG, "name": CATALOG, "version": "1", "display_name": "Documents indexed by make run"}
        if (answer := self._answer("POST", "api-catalogs", json=catalog)).status_code != httpx.codes.CONFLICT:
            _require_success(answer)

    def _upload(self) -> None:
        path = f"api-catalogs/{CATALOG}/specs/{self._spec_name}/upload"
        headers = {"Content-Type": "application/zip" if is_zip(self._body) else "application/gzip"}
        params = {"entry": self._entry} if self._entry else {}
        answer = self._answer("PUT", path, content=self._body, headers=headers, params=params)
        changes = _require_success(answer).json()["changes"]
        if answer.status_code == httpx.codes.CREATED:
            what = f"new in catalog {CATALOG}"
        elif changes["added"] or changes["changed"] or changes["removed"]:
            counts = ", ".join(f"{count} {change}" for change, count in changes.items() if count)
            what = f"replaces an earlier document of that name in catalog {CATALOG} ({counts})"
        else:
            what = f"has the operations that it had in catalog {CATALOG}"
        self._say(f"{what}.")

    def _follow(self, *, paused: bool) -> dict[str, Any]:
        bar = Progress(
            TextColumn("indexing {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        next_line = 0.0
        with bar:
            task = bar.add_task(self._spec_name, total=None, rate="")
            while True:
                status = self._status()
                done, total = status.get("embedded_so_far", 0), status["operation_count"]
                running = status.get("job_status") in ("pending", "running")
                rate = f"{status['rate_per_second']:.1f}/s" if "rate_per_second" in status else ""
                bar.update(task, completed=done if running else total, total=total, rate=rate)
                if not running or paused:
                    return status
                self._explain(status.get("job_last_error", ""))
                if not self._console.is_terminal and time.monotonic() >= next_line:
                    self._console.print(f"indexing {self._spec_name} {done}/{total} {rate}".rstrip())
                    next_line = time.monotonic() + _LINE_SECONDS
                time.sleep(_POLL_SECONDS)

    def _status(self) -> dict[str, Any]:
        answer = self._answer("GET", f"api-catalogs/{CATALOG}/embedding-status", params={"spec": self._spec_name})
        status: dict[str, Any] = _require_success(answer).json()["specs"][0]
        return status

    def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return an answer that is no failure of the server: a database that comes back is waited for, told why."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self._watch()
            try:
                answer = self._client.request(method, path, **request)
            except httpx.TransportError as error:
                reason = f"The API does not answer: {error}"
            else:
                if not answer.is_server_error:
                    return answer
                reason = _message(answer)
                if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    give_up_at = time.monotonic() + _PATIENCE_SECONDS
            if time.monotonic() >= give_up_at:
                raise LocalRunError(f"{self._spec_name} was not indexed: {reason}")
            self._explain(reason)
            time.sleep(_POLL_SECONDS)

    def _explain(self, reason: str) -> None:
        if reason not in ("", self._told):
            self._say(f"waiting: {reason}")
            self._told = reason

    def _say(self, text: str) -> None:
        self._console.print(Text.assemble((self._spec_name, "bold"), f": {text}"))


def _require_success(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise LocalRunError(f"SPEC was refused ({answer.status_code}): {_message(answer)}")
    return answer


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:300]}"
