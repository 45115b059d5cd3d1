"""Specs that come from a URL: put in, refreshed by a client, refreshed on schedule."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opdex.catalog.holding import hold_catalog
from opdex.catalog.models import Changes, Link, Spec, Upload
from opdex.catalog.store import get_catalog, get_spec
from opdex.catalog.upload import store_document
from opdex.database import Connection, Transactions, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.errors import ArchiveUnusable, DocumentEmpty, MalformedRequest, NotUrlSourced, OpdexError, SourceChanged
from opdex.openapi import Description
from opdex.openapi.plain_text import cut, storable
from opdex.openapi.reader import DocumentReader

if TYPE_CHECKING:
    from opdex.fetching import Fetched, Fetcher  # what they import costs a cold start more than most requests need

_SQL = load_statements("opdex.catalog", "sources.sql")
_MOST_ERROR_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Fetch:
    """A fetch under way: of which spec, as it was at the beginning, and from where."""

    spec_id: int
    catalog_id: str
    spec_name: str
    revision: int
    source_url: str
    given_base_path: str | None
    etag: str | None
    last_modified: str | None


class Sources:
    """Fetches documents, reads and stores them; all that takes long is done while no lock is held.

    What is no usable document changes nothing but the spec's ``last_fetch_error``.
    """

    def __init__(
        self, database: Transactions, fetcher: "Fetcher", reader: DocumentReader, model: ModelIdentity
    ) -> None:
        self._database = database
        self._fetcher = fetcher
        self._reader = reader
        self._model = model

    def put(self, catalog_id: str, spec_name: str, source_url: str, base_path: str | None) -> Upload:
        """Make the document at a URL the spec's.

        Raises CatalogNotFound, and what :meth:`Fetcher.fetch` and :meth:`DocumentReader.read` raise.
        """
        source_url = self._fetcher.spell(source_url)
        with self._database.transaction() as c:
            get_catalog(c, catalog_id)  # nothing is fetched for nobody
        names = {"catalog_id": catalog_id, "spec_name": spec_name, "source_url": source_url}
        try:
            fetched = self._fetcher.fetch(source_url)
            assert fetched is not None  # noqa: S101 - no condition was sent
            document, description = self._read(fetched)
        except OpdexError as error:
            self._note_failure(names, error)
            raise
        with self._database.transaction() as c:
            return self._store(c, names, fetched, document, description, base_path)

    def refresh(self, catalog_id: str, spec_name: str) -> Upload:
        """Bring a spec to what its URL serves now; an unchanged document is neither sent nor read again.

        Raises CatalogNotFound, SpecNotFound, NotUrlSourced, SourceChanged, and what :meth:`put` raises.
        """
        names = {"catalog_id": catalog_id, "spec_name": spec_name}
        with self._database.transaction() as c:
            begun = c.execute(_SQL["begin_fetch"], names).fetchone()
            if begun is None:
                get_spec(c, catalog_id, spec_name)
                raise NotUrlSourced
        return self.carry_out(Fetch(**begun))

    def begin_due(self, slow_hosts: list[str]) -> Fetch | None:
        """Return the scheduled fetch that has been due longest, at none of these hosts; None where none is due.

        No other pass begins it again before its backoff has passed.
        """
        with self._database.transaction() as c:
            begun = c.execute(_SQL["begin_due_fetch"], {"slow_hosts": slow_hosts}).fetchone()
        return Fetch(**begun) if begun else None

    def carry_out(self, fetch: Fetch) -> Upload:
        """Fetch, read and store. Raises what :meth:`refresh` raises."""
        names = {"catalog_id": fetch.catalog_id, "spec_name": fetch.spec_name, "source_url": fetch.source_url}
        try:
            fetched = self._fetcher.fetch(fetch.source_url, etag=fetch.etag, last_modified=fetch.last_modified)
            read = self._read(fetched) if fetched else None
            if read and not read[1].operations:
                self._require_empty(fetch)
        except OpdexError as error:
            self._note_failure(names, error)
            raise
        with self._database.transaction() as c:
            hold_catalog(c, fetch.catalog_id)
            values = {"spec_id": fetch.spec_id, "source_url": fetch.source_url, "revision": fetch.revision}
            if c.execute(_SQL["lock_if_unchanged"], values).fetchone() is None:
                get_spec(c, fetch.catalog_id, fetch.spec_name)  # where it is gone, that is the answer
                raise SourceChanged
            if fetched and read:
                return self._store(c, names, fetched, *read, fetch.given_base_path)
            c.execute(_SQL["note_unchanged"], values)
            spec = get_spec(c, fetch.catalog_id, fetch.spec_name)
        same = Changes(added=0, changed=0, removed=0, unchanged=spec.operation_count)
        return Upload(spec=spec, created=False, changes=same, job_id=None)

    def _read(self, fetched: "Fetched") -> tuple[bytes, Description]:
        try:
            return self._reader.read(fetched.content)
        except MalformedRequest as error:  # an upload would name the file
            raise ArchiveUnusable(
                "The archive at this URL must have one file that says which OpenAPI version it follows.",
                **error.details,
            ) from None

    def _require_empty(self, fetch: Fetch) -> None:
        """Raise DocumentEmpty where the spec has operations: a server that is half up must not take them away."""
        with self._database.transaction() as c:
            count = get_spec(c, fetch.catalog_id, fetch.spec_name).operation_count
        if count:
            raise DocumentEmpty(
                f"The document at this URL has no operation any more; the one before, which has {count}, stays. "
                "To replace it all the same, upload the new one."
            )

    def _store(
        self,
        connection: Connection,
        names: dict[str, Any],
        fetched: "Fetched",
        document: bytes,
        description: Description,
        base_path: str | None,
    ) -> Upload:
        return store_document(
            connection,
            names["catalog_id"],
            names["spec_name"],
            document,
            description,
            "url",
            base_path,
            self._model,
            link=Link(names["source_url"], fetched.etag, fetched.last_modified),
        )

    def _note_failure(self, names: dict[str, Any], error: OpdexError) -> None:
        told = cut(storable(error.message), _MOST_ERROR_CHARACTERS)
        with self._database.transaction() as c:
            c.execute(_SQL["note_failure"], {**names, "error": told, "code": error.code})


def set_schedule(connection: Connection, catalog_id: str, spec_name: str, every_hours: int) -> Spec:
    """Have a spec refreshed every so many hours, never for 0. Raises CatalogNotFound, SpecNotFound, NotUrlSourced."""
    values = {"catalog_id": catalog_id, "spec_name": spec_name, "hours": every_hours}
    is_set = connection.execute(_SQL["set_schedule"], values).fetchone() is not None
    spec = get_spec(connection, catalog_id, spec_name)
    if not is_set:
        raise NotUrlSourced
    return spec
