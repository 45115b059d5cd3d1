"""A document as it is sent or served: as it is, gzip'd, or as a zip of its many files."""

import time
from dataclasses import replace

from opdex.openapi import Description, Limits, describe, unpack
from opdex.settings import DocumentSettings


class DocumentReader:
    """Reads documents within the limits that settings say."""

    def __init__(self, settings: DocumentSettings) -> None:
        self._limits = Limits.of(settings)

    def read(self, sent: bytes, entry: str | None = None) -> tuple[bytes, Description]:
        """Return the one document that was sent, and what it says; ``entry`` is the file of a zip that it begins in.

        Raises what :func:`unpack`, :func:`describe` and :func:`bundle_archive` raise.
        """
        from opdex.openapi.archive import is_zip  # most requests bring no document
        from opdex.openapi.bundle import bundle_archive

        document = unpack(sent, self._limits.max_bytes)
        if not is_zip(document):
            return document, describe(document, self._limits)
        began = time.monotonic()  # one time limit for both
        bundled = bundle_archive(document, entry, self._limits)
        description = describe(bundled.content, self._limits, began)
        return bundled.content, replace(description, warnings=(*bundled.warnings, *description.warnings))
