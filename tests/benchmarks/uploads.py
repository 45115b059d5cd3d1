"""The client of the benchmarks: stores documents as the HTTP route does, and knows when each was committed."""

import time
from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from opdex.catalog.store import create_catalog
from opdex.catalog.upload import store_document
from opdex.database import Database
from opdex.embedding import ModelIdentity
from opdex.openapi import describe
from opdex.settings import DatabaseSettings
from tests.ollama_server import MODEL

IDENTITY = ModelIdentity("ollama", MODEL)
CATALOG = "catalog"

_IS_PUBLISHED = """
SELECT published_revision = current_revision AS is_published FROM specs WHERE catalog_id = %s AND spec_name = %s
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document that was stored: the job it opened (None: it needs none), its texts, and the moment of the commit."""

    catalog_id: str
    spec_name: str
    job_id: int | None
    texts: tuple[str, ...]
    committed: float


class Uploads:
    """Stores documents under the provider's model. A context manager; moments are of the monotonic clock."""

    def __init__(self, database_url: str) -> None:
        self.database = Database(DatabaseSettings(database_url=SecretStr(database_url)))
        self.create_catalog(CATALOG)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def create_catalog(self, catalog_id: str) -> None:
        """Create a catalog; the usual one is there."""
        with self.database.transaction() as c:
            create_catalog(c, id=catalog_id, name=catalog_id, version="1")

    def store(self, spec_name: str, raw: bytes, catalog_id: str = CATALOG) -> Stored:
        """Store a document as the spec's current revision."""
        described = describe(raw)
        with self.database.transaction() as c:
            upload = store_document(c, catalog_id, spec_name, raw, described, "upload", None, IDENTITY)
        committed = time.monotonic()
        texts = tuple(operation.text for operation in described.operations)
        return Stored(catalog_id, spec_name, upload.job_id, texts, committed)

    def is_published(self, stored: Stored) -> bool:
        """Return whether the spec's current revision is the one that search uses."""
        with self.database.transaction() as c:
            row = c.execute(_IS_PUBLISHED, (stored.catalog_id, stored.spec_name)).fetchone()
        return row is not None and bool(row["is_published"])
