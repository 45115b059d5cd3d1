"""Content: the stored document of a spec, as gzip."""

import re
from typing import Annotated, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header

from opdex.catalog.documents import read_content
from opdex.errors import CatalogNotFound, ContentTooLarge, RangeNotSatisfiable, SpecNotFound
from opdex.http.answer_size import MAX_OCTETS
from opdex.http.context import ApiContext
from opdex.http.requests import CatalogId, SpecName
from opdex.http.routing import Routes

_GZIP: Final = "application/gzip"
_ONE_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)

Range = Annotated[
    str | None,
    Header(description="`bytes=first-last`, for a document that is larger than one answer; of more, as much as fits."),
]
IfRange = Annotated[str | None, Header(description="The `ETag` of the piece before: all is sent where it is another.")]


def content_routes(context: ApiContext) -> Routes:
    """Return the route on the document of a spec."""
    routes = Routes("Specs")

    @routes.endpoint(
        "GET",
        "/api-catalogs/<catalog_id>/specs/<spec_name>/content",
        role="reader",
        answers={200: "The document.", 206: "The piece of it that was asked for."},
        errors=(CatalogNotFound, SpecNotFound, ContentTooLarge, RangeNotSatisfiable),
        media_type=_GZIP,
    )
    def get_content(
        catalog_id: CatalogId,
        spec_name: SpecName,
        range: Range = None,  # noqa: A002 - the header's name
        if_range: IfRange = None,
    ) -> Response[bytes]:
        """Read the document of a spec's current revision, as gzip."""
        with context.database.transaction() as c:
            content = read_content(c, catalog_id, spec_name)
        headers = {
            "ETag": (etag := f'"{content.sha256}"'),
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{spec_name}.gz"',
        }
        wanted = _ONE_RANGE.fullmatch((range or "").strip()) if if_range in (None, etag) else None
        if wanted is None or wanted[0] == "bytes=-":
            if len(content.gzip) > MAX_OCTETS:
                raise ContentTooLarge(bytes=len(content.gzip), at_most=MAX_OCTETS)
            return Response(200, _GZIP, content.gzip, headers)
        first, end = _piece(wanted, len(content.gzip))
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content.gzip)}"
        return Response(206, _GZIP, content.gzip[first:end], headers)

    return routes


def _piece(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """Return where the piece begins and ends. Raises RangeNotSatisfiable."""
    if not wanted[1]:  # the last so many
        first, end = max(0, size - int(wanted[2])), size
    else:
        first, end = int(wanted[1]), min(size, int(wanted[2]) + 1 if wanted[2] else size)
    if first >= size or end <= first:
        raise RangeNotSatisfiable(bytes=size)
    return first, min(end, first + MAX_OCTETS)
