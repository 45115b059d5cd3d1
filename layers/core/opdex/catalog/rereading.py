"""Reading stored documents again: where a release makes texts in another way, they and their vectors follow."""

import gzip
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from opdex.catalog.holding import hold_catalog
from opdex.catalog.publication import publish_or_enqueue
from opdex.catalog.revisions import note_text_scheme, store_revision, text_scheme
from opdex.database import Database, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.embedding.registry import register_model
from opdex.errors import DatabaseUnavailable, DocumentError, OpdexError
from opdex.jobs.wakeups import WakeUp, WakeUps, sent
from opdex.observability import correlation_id, described, logger
from opdex.openapi import Description, Limits, describe
from opdex.openapi import Warning as DescriptionWarning

_SQL = load_statements("opdex.catalog", "rereading.sql")
_BATCH: Final = 200
# Said of a text, not of the document.
_OF_TEXTS: Final = "embedded_text_cut"


@dataclass(frozen=True, slots=True)
class Reread:
    """How many documents were read again, and how many could not be."""

    documents: int = 0
    failures: int = 0


def reread_documents(
    database: Database, wake_ups: WakeUps, limits: Limits, identity: ModelIdentity, *, workers: int, seconds: float
) -> Reread:
    """Read the current documents again whose texts an earlier release made; none begins after so many seconds.

    One that reads differently is a new revision, as if it were uploaded again: search has the one before until that is
    published. One that fails keeps none of the others waiting; one that is refused now keeps its texts. Sends at most
    ``workers`` wake-ups. Raises DatabaseUnavailable.
    """
    ends_at = time.monotonic() + seconds
    read = failures = woken = 0
    after: dict[str, Any] = {"operation_count": -1, "spec_id": 0}
    outdated: list[dict[str, Any]] = []
    while time.monotonic() < ends_at:
        if not outdated:
            values = {**after, "text_scheme": text_scheme(), "batch": _BATCH}
            with database.transaction() as connection:
                outdated = connection.execute(_SQL["outdated_texts"], values).fetchall()
            if not outdated:
                break
        place = outdated.pop(0)
        after = {name: place[name] for name in after}
        try:
            job_id = _reread(database, limits, identity, place)
        except DatabaseUnavailable:
            raise
        except DocumentError as error:
            failures += 1
            logger.warning("stored document refused now", error_code=error.code, spec_id=place["spec_id"])
            with database.transaction() as connection:
                note_text_scheme(connection, place["spec_id"], place["revision"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are outdated too
            failures += 1
            code = error.code if isinstance(error, OpdexError) else OpdexError.code
            logger.error("document not read again", error_code=code, errors=described(error), spec_id=place["spec_id"])
        else:
            read += 1
            if job_id is not None and woken < workers:
                woken += sent(wake_ups, WakeUp(job_id=job_id, correlation_id=correlation_id()))
    return Reread(read, failures)


def _reread(database: Database, limits: Limits, identity: ModelIdentity, place: Mapping[str, Any]) -> int | None:
    """Read one document and store what changed; return the job that publishes it, None where none is needed."""
    with database.transaction() as connection:
        document = connection.execute(_SQL["read_document"], place).fetchone()
    if document is None:
        return None
    raw = gzip.decompress(document["content"])
    description = _with_warnings(describe(raw, limits), document["warnings"])
    with database.transaction() as connection:
        hold_catalog(connection, place["catalog_id"])
        if connection.execute(_SQL["lock_if_current"], place).fetchone() is None:
            return None  # a newer document is there, which this release or the one before read
        spec_id, current = place["spec_id"], place["revision"]
        revision, _ = store_revision(connection, spec_id, current, raw, description, document["base_path"])
        if revision == current:
            return None
        connection.execute(_SQL["turn_to_revision"], {"spec_id": spec_id, "revision": revision})
        return publish_or_enqueue(connection, spec_id, register_model(connection, identity))


def _with_warnings(description: Description, stored: Iterable[Mapping[str, str]]) -> Description:
    """Return the description with what was said when the document came, of the files that it was made of, say."""
    said = {_OF_TEXTS, *(warning.code for warning in description.warnings)}
    kept = [DescriptionWarning(**warning) for warning in stored if warning["code"] not in said]
    return replace(description, warnings=(*kept, *description.warnings))
