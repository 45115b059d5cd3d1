"""Specs: list, read, put in, delete, embed again."""

from typing import Any, Final, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from opdex.catalog import store
from opdex.catalog.models import Spec, Upload
from opdex.catalog.upload import store_document
from opdex.errors import (
    ArchiveUnusable,
    CatalogNotFound,
    DocumentEmpty,
    DocumentTooComplex,
    DocumentUnreadable,
    NotOpenApi,
    SpecNotFound,
    TooLarge,
    UnsupportedMediaType,
    UnsupportedVersion,
)
from opdex.http.answers import AllQueued, Queued, SpecList, UploadAnswer
from opdex.http.audit_store import Subject
from opdex.http.bodies import document_bytes
from opdex.http.context import ApiContext
from opdex.http.cursors import decode_cursor, name_position, page
from opdex.http.requests import BasePath, CatalogId, Cursor, Entry, LinkedDocument, SentDocument, SpecLimit, SpecName
from opdex.http.routing import Routes
from opdex.http.sources import FETCH_ERRORS, sources
from opdex.jobs import enqueue
from opdex.openapi.reader import DocumentReader

_UPLOAD_ERRORS: Final = (
    CatalogNotFound,
    TooLarge,
    UnsupportedMediaType,
    DocumentEmpty,
    DocumentUnreadable,
    ArchiveUnusable,
    NotOpenApi,
    UnsupportedVersion,
    DocumentTooComplex,
)
_LISTED_WARNINGS: Final = 3
_UPLOAD_ANSWERS: Final = {200: "The spec, changed or the same as before.", 201: "The new spec."}
_TEXT: Final = {"schema": {"type": "string"}}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD_BODY: Final[dict[str, Any]] = {
    "description": "The OpenAPI document itself, at most 4.5 MB as sent: send larger ones as gzip, without "
    "Content-Encoding. JSON, YAML, gzip and zip are told apart by the bytes.",
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "application/yaml": _TEXT,
        "application/octet-stream": _BINARY,
        "application/gzip": _BINARY,
        "application/zip": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        },
    },
}


def spec_routes(context: ApiContext) -> Routes:
    """Return the routes on specs."""
    routes = Routes("Specs")
    transaction = context.database.transaction
    reader = DocumentReader(context.settings)

    def put_document(
        catalog_id: str,
        spec_name: str,
        sent: bytes,
        source_kind: Literal["inline", "upload"],
        base_path: str | None,
        entry: str | None = None,
    ) -> Response[UploadAnswer]:
        # All that can take seconds is done before the transaction, so that no lock is held meanwhile.
        document, description = reader.read(sent, entry)
        with context.changes(Subject.spec(catalog_id, spec_name)).transaction() as c:
            upload = store_document(
                c, catalog_id, spec_name, document, description, source_kind, base_path, context.embedder.identity
            )
        return stored(upload)

    def stored(upload: Upload) -> Response[UploadAnswer]:
        context.wake(upload.job_id)
        return Response(201 if upload.created else 200, "application/json", UploadAnswer.of(upload))

    @routes.endpoint(
        "GET",
        "/api-catalogs/<catalog_id>/specs",
        role="reader",
        answers={200: "The specs, by name."},
        errors=(CatalogNotFound,),
    )
    def list_specs(catalog_id: CatalogId, limit: SpecLimit = None, cursor: Cursor = None) -> SpecList:
        """List the specs of a catalog.

        Of each spec's warnings the first few; `warning_count` tells how many there are, the spec itself has them all.
        """
        after = decode_cursor(cursor, name_position)
        with transaction() as c:
            found = store.list_specs(c, catalog_id, limit and limit + 1, after)
        listed = [spec.model_copy(update={"warnings": spec.warnings[:_LISTED_WARNINGS]}) for spec in found]
        specs, following = page(listed, limit or len(listed), lambda spec: spec.spec_name)
        return SpecList(specs=specs, next=following)

    @routes.endpoint(
        "GET",
        "/api-catalogs/<catalog_id>/specs/<spec_name>",
        role="reader",
        answers={200: "The spec."},
        errors=(CatalogNotFound, SpecNotFound),
    )
    def get_spec(catalog_id: CatalogId, spec_name: SpecName) -> Spec:
        """Read a spec."""
        with transaction() as c:
            return store.get_spec(c, catalog_id, spec_name)

    @routes.endpoint(
        "PUT",
        "/api-catalogs/<catalog_id>/specs/<spec_name>",
        role="editor",
        answers=_UPLOAD_ANSWERS,
        errors=(*_UPLOAD_ERRORS, *FETCH_ERRORS),
    )
    def put_spec(catalog_id: CatalogId, spec_name: SpecName, sent: SentDocument) -> Response[UploadAnswer]:
        """Create or replace a spec by a document that is sent along as text, or fetched from its URL.

        A URL is https, and leads, redirects included, to port 443 of public addresses alone.
        """
        if isinstance(sent, LinkedDocument):
            source = sources(context, catalog_id, spec_name)
            return stored(source.put(catalog_id, spec_name, sent.source_url, sent.base_path))
        return put_document(catalog_id, spec_name, sent.content.encode(), sent.source_kind, sent.base_path)

    @routes.endpoint(
        "PUT",
        "/api-catalogs/<catalog_id>/specs/<spec_name>/upload",
        role="editor",
        answers=_UPLOAD_ANSWERS,
        errors=_UPLOAD_ERRORS,
        request_body=_UPLOAD_BODY,
    )
    def upload_spec(
        catalog_id: CatalogId, spec_name: SpecName, base_path: BasePath = None, entry: Entry = None
    ) -> Response[UploadAnswer]:
        """Create or replace a spec by uploading its document.

        A document of many files comes as a zip, and is kept as one: each file that another refers to stands in it under
        `x-bundled-files`. `entry` may be left out where only one file of the archive can be meant.
        """
        event = routes.current_event
        assert isinstance(event, APIGatewayProxyEvent)  # noqa: S101 - the resolver reads no other kind
        return put_document(catalog_id, spec_name, document_bytes(event), "upload", base_path, entry)

    @routes.endpoint(
        "DELETE",
        "/api-catalogs/<catalog_id>/specs/<spec_name>",
        role="editor",
        answers={204: "The spec is gone."},
        errors=(CatalogNotFound, SpecNotFound),
    )
    def delete_spec(catalog_id: CatalogId, spec_name: SpecName) -> None:
        """Delete a spec; its job is cancelled."""
        with context.changes(Subject.spec(catalog_id, spec_name)).transaction() as c:
            store.delete_spec(c, catalog_id, spec_name)

    @routes.endpoint(
        "POST",
        "/api-catalogs/<catalog_id>/specs/<spec_name>/reembed",
        role="editor",
        answers={202: "A job is open, or the open one was upgraded."},
        errors=(CatalogNotFound, SpecNotFound),
    )
    def reembed_spec(catalog_id: CatalogId, spec_name: SpecName) -> Queued:
        """Embed a spec again, even what has not changed."""
        with context.changes(Subject.spec(catalog_id, spec_name)).transaction() as c:
            enqueued = enqueue.reembed(c, catalog_id, spec_name)
        context.wake(enqueued.job_id)
        return Queued(**dict(enqueued))

    @routes.endpoint(
        "POST",
        "/api-catalogs/<catalog_id>/reembed",
        role="editor",
        answers={202: "A job is open for each spec."},
        errors=(CatalogNotFound,),
    )
    def reembed_catalog(catalog_id: CatalogId) -> AllQueued:
        """Embed all specs of a catalog again, even what has not changed."""
        with context.changes(Subject.catalog(catalog_id)).transaction() as c:
            store.get_catalog(c, catalog_id)
            jobs = enqueue.reembed_catalog(c, catalog_id)
        context.wake(*(job.job_id for job in jobs))
        return AllQueued(jobs=jobs)

    return routes
