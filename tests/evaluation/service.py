"""The running service that is evaluated: its documents, and what it finds."""

import gzip
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.evaluation.query_sets import QuerySet, Run, catalog_id, spec_name

BASE = "/api/v1/admin"
DEPTH = 50
_AT_ONCE = 2


class Service:
    """A service by its address and an editor's key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._local = threading.local()

    def store(self, corpus: Path, sets: Iterable[QuerySet], seconds: float = 1800) -> None:
        """Upload the documents of the sets and wait until each is indexed. Raises RuntimeError where one fails."""
        for queries in sets:
            catalog = catalog_id([queries])
            draft = {"id": catalog, "name": catalog, "version": "1"}
            self._call("POST", "/api-catalogs", ok=(201, 409), json=draft)
            for document in queries.documents:
                self._upload(catalog, spec_name(document), (corpus / document).read_bytes())
        for catalog in {catalog_id([queries]) for queries in sets}:
            self._wait(catalog, time.monotonic() + seconds)

    def ranked(self, run: Run, rankings: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, dict[str, Any]]]:
        """Yield for each query of the run a line of ranked operations, as the scorer reads them, by ranking.

        A query is asked with all rankings in a row: the service embeds it once. Raises RuntimeError where an answer is
        not ranked as asked for, or has a note: such figures would be those of something else.
        """
        documents = {spec_name(document): document for queries in run.sets for document in queries.documents}

        def ask(question: tuple[QuerySet, int, str, str]) -> dict[str, dict[str, Any]]:
            return {name: ask_with(question, ranking) for name, ranking in rankings.items()}

        def ask_with(question: tuple[QuerySet, int, str, str], ranking: Mapping[str, Any]) -> dict[str, Any]:
            queries, number, document, query = question
            where = {} if run.is_pooled else {"spec": spec_name(document)}
            # The contract takes 1,000 characters.
            asked = {"q": query[:1000], "catalog": run.catalog_id, "limit": DEPTH, **where, **ranking}
            answer = self._call("GET", "/search", params=asked)
            if answer["ranking"] != ranking["ranking"] or "note" in answer:
                told = f"{answer['ranking']}: {answer.get('note')}"
                raise RuntimeError(
                    f"Query {number} of {queries.name} was not ranked as asked, {dict(ranking)}, but {told}"
                )
            found = answer["operations"]
            entries = [f"{operation['method']} {operation['path']}" for operation in found]
            if run.is_pooled:
                entries = [
                    f"{documents[operation['spec_name']]}::{entry}"
                    for operation, entry in zip(found, entries, strict=True)
                ]
            return {"set": queries.name, "query_index": number, "ranked": entries, "pooled": run.is_pooled}

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            yield from threads.map(ask, run.questions())

    def _upload(self, catalog: str, spec: str, document: bytes) -> None:
        path = f"/api-catalogs/{catalog}/specs/{spec}/upload"
        headers = {"Content-Type": "application/gzip"}
        self._call("PUT", path, ok=(200, 201), content=gzip.compress(document, mtime=0), headers=headers)

    def _wait(self, catalog: str, deadline: float) -> None:
        while True:
            health = self._call("GET", f"/api-catalogs/{catalog}/embedding-health")
            if health["specs_failed"]:
                raise RuntimeError(f"{health['specs_failed']} specs of {catalog} failed to be indexed.")
            if health["specs_indexed"] == health["specs_total"]:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{catalog} is not indexed in time: {json.dumps(health)}")
            time.sleep(0.5)

    def _call(self, method: str, path: str, ok: tuple[int, ...] = (200,), **request: Any) -> Any:
        if not hasattr(self._local, "client"):
            self._local.client = httpx.Client(timeout=60)
        headers = {"X-API-Key": self._key, **request.pop("headers", {})}
        answer = self._local.client.request(method, self._url + BASE + path, headers=headers, **request)
        if answer.status_code not in ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()
