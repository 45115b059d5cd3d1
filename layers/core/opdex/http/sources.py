"""Specs that come from a URL: refresh, and how often that is done by itself."""

from typing import Final

from opdex.catalog.models import Spec
from opdex.catalog.sources import Sources, set_schedule
from opdex.errors import (
    ArchiveUnusable,
    CatalogNotFound,
    DocumentEmpty,
    DocumentTooComplex,
    DocumentUnreadable,
    NotOpenApi,
    NotUrlSourced,
    OutboundUnavailable,
    SourceChanged,
    SourceFailed,
    SourceRefused,
    SourceTimeout,
    SourceUnreachable,
    SpecNotFound,
    TooLarge,
    UnsupportedVersion,
)
from opdex.http.answers import UploadAnswer
from opdex.http.audit_store import Subject
from opdex.http.context import ApiContext
from opdex.http.requests import CatalogId, RefreshSchedule, SpecName
from opdex.http.routing import Routes
from opdex.openapi.reader import DocumentReader

FETCH_ERRORS: Final = (SourceRefused, SourceFailed, SourceUnreachable, SourceTimeout, OutboundUnavailable)


def sources(context: ApiContext, catalog_id: str, spec_name: str) -> Sources:
    """Return the specs that come from a URL, for the request under way to change this one."""
    changes = context.changes(Subject.spec(catalog_id, spec_name))
    return Sources(changes, context.fetcher, DocumentReader(context.settings), context.embedder.identity)


def source_routes(context: ApiContext) -> Routes:
    """Return the routes on specs that come from a URL."""
    routes = Routes("Specs")

    @routes.endpoint(
        "POST",
        "/api-catalogs/<catalog_id>/specs/<spec_name>/refresh",
        role="editor",
        answers={200: "The spec, changed or the same as before."},
        errors=(
            CatalogNotFound,
            SpecNotFound,
            NotUrlSourced,
            SourceChanged,
            TooLarge,
            DocumentEmpty,
            DocumentUnreadable,
            ArchiveUnusable,
            NotOpenApi,
            UnsupportedVersion,
            DocumentTooComplex,
            *FETCH_ERRORS,
        ),
    )
    def refresh_spec(catalog_id: CatalogId, spec_name: SpecName) -> UploadAnswer:
        """Fetch a spec's document again from its URL.

        What has not changed there is not sent again. Where nothing usable is fetched, the spec stays as it is, and its
        `last_fetch_error` tells why.
        """
        upload = sources(context, catalog_id, spec_name).refresh(catalog_id, spec_name)
        context.wake(upload.job_id)
        return UploadAnswer.of(upload)

    @routes.endpoint(
        "PUT",
        "/api-catalogs/<catalog_id>/specs/<spec_name>/refresh-schedule",
        role="editor",
        answers={200: "The spec."},
        errors=(CatalogNotFound, SpecNotFound, NotUrlSourced),
    )
    def schedule_refresh(catalog_id: CatalogId, spec_name: SpecName, schedule: RefreshSchedule) -> Spec:
        """Have a spec refreshed from its URL every so many hours.

        After a failure it is tried again sooner, then ever later, up to a day. Uploading a document ends the schedule.
        """
        with context.changes(Subject.spec(catalog_id, spec_name)).transaction() as c:
            return set_schedule(c, catalog_id, spec_name, schedule.every_hours)

    return routes
