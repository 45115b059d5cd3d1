"""``SPEC=``: sends one document to the running system over HTTP, and shows its indexing to the end."""

import gzip
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from local.endpoint import Endpoint
from local.errors import LocalRunError

CATALOG = "local"
_POLL_SECONDS = 0.2
_LINE_SECONDS = 2.0  # where no bar can be drawn


@dataclass(frozen=True)
class Document:
    """What SPEC names: its bytes, and the spec name they get."""

    spec_name: str
    raw: bytes


def read_document(spec: str) -> Document:
    """Return the document of a file or an http(s) URL. Raises LocalRunError."""
    if re.match(r"https?://", spec):
        try:
            answer = httpx.get(spec, timeout=60, follow_redirects=True).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LocalRunError(f"SPEC {spec} cannot be fetched: {error}") from None
        raw, name = answer.content, urlsplit(spec).path
    else:
        try:
            raw, name = Path(spec).expanduser().read_bytes(), spec
        except OSError as error:
            raise LocalRunError(f"SPEC {spec} cannot be read ({error.strerror}): give a file or a URL.") from None
    stem = Path(name).name.removesuffix(".gz").rsplit(".", 1)[0]
    return Document(re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-")[:64] or "spec", raw)


class Indexing:
    """One document's way through a running system."""

    def __init__(self, endpoint: Endpoint, document: Document, watch: Callable[[], None]) -> None:
        self._document = document
        self._watch = watch
        self._client = httpx.Client(
            base_url=f"{endpoint.url}/api/v1/admin/", headers={"X-API-Key": endpoint.api_key}, timeout=60
        )

    def run(self, console: Console) -> None:
        """Send the document, and return when its job has ended. Raises LocalRunError where it is refused or fails."""
        started = time.monotonic()
        try:
            self._create_catalog()
            self._upload()
        except httpx.TransportError as error:
            raise LocalRunError(f"The API does not answer: {error}") from None
        status = self._follow(console)
        seconds = time.monotonic() - started
        if status.get("job_status") in ("failed", "cancelled"):
            raise LocalRunError(f"{self._document.spec_name} was not indexed: {status.get('job_last_error')}")
        count = status["embedding_count"]
        console.print(
            f"All {count} operations of [bold]{self._document.spec_name}[/bold] are searchable after {seconds:.1f} s"
            f" ({count / seconds:.0f} a second)."
        )

    def _create_catalog(self) -> None:
        catalog = {"id": CATALOG, "name": CATALOG, "version": "1", "display_name": "Documents indexed by make run"}
        if (answer := self._client.post("api-catalogs", json=catalog)).status_code != httpx.codes.CONFLICT:
            _require_success(answer)

    def _upload(self) -> None:
        raw = self._document.raw
        body = raw if raw.startswith(b"\x1f\x8b") else gzip.compress(raw)
        path = f"api-catalogs/{CATALOG}/specs/{self._document.spec_name}/upload"
        _require_success(self._client.put(path, content=body, headers={"Content-Type": "application/gzip"}))

    def _follow(self, console: Console) -> dict[str, Any]:
        bar = Progress(
            TextColumn("indexing {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        next_line = 0.0
        with bar:
            task = bar.add_task(self._document.spec_name, total=None, rate="")
            while True:
                self._watch()
                if (status := self._status()) is None:  # a database that comes back is waited for
                    time.sleep(_POLL_SECONDS)
                    continue
                done, total = status.get("embedded_so_far", 0), status["operation_count"]
                running = status.get("job_status") in ("pending", "running")
                rate = f"{status['rate_per_second']:.1f}/s" if "rate_per_second" in status else ""
                bar.update(task, completed=done if running else total, total=total, rate=rate)
                if not console.is_terminal and running and time.monotonic() >= next_line:
                    console.print(f"indexing {self._document.spec_name} {done}/{total} {rate}".rstrip())
                    next_line = time.monotonic() + _LINE_SECONDS
                if not running:
                    return status
                time.sleep(_POLL_SECONDS)

    def _status(self) -> dict[str, Any] | None:
        path = f"api-catalogs/{CATALOG}/embedding-status"
        try:
            answer = self._client.get(path, params={"spec": self._document.spec_name})
        except httpx.TransportError:
            return None
        if answer.is_server_error:
            return None
        status: dict[str, Any] = _require_success(answer).json()["specs"][0]
        return status


def _require_success(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        said = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = answer.text[:300]
    raise LocalRunError(f"SPEC was refused ({answer.status_code}): {said}")
