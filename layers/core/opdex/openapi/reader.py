"""A document as it is sent or served: as it is, gzip'd, or as a zip of its many files."""

import time
from dataclasses import replace

from opdex.openapi import Description, Limits, describe, unpack
from opdex.settings import DocumentSettings


class DocumentReader:
    """Reads documents within the limits that settings say."""

    def __init__(self, settings: DocumentSettings) -> None:
        self._settings = settings
        self._limits = Limits.of(settings)

    def read(self, sent: bytes, entry: str | None = None) -> tuple[bytes, Description]:
        """Return the one document that was sent, and what it says; ``entry`` is the file of a zip that it begins in.

        Raises what :func:`unpack`, :func:`describe` and :func:`bundle_archive` raise.
        """
        from opdex.openapi.archive import ArchiveLimits, is_zip  # most requests bring no document
        from opdex.openapi.bundle import bundle_archive

        limits, settings = self._limits, self._settings
        document = unpack(sent, limits.max_bytes)
        if not is_zip(document):
            return document, describe(document, limits)
        began = time.monotonic()  # one time limit for both
        archive_limits = ArchiveLimits(limits.max_bytes, settings.max_archive_files, settings.max_archive_ratio)
        bundled = bundle_archive(document, entry, limits, archive_limits)
        description = describe(bundled.content, limits, began)
        return bundled.content, replace(description, warnings=(*bundled.warnings, *description.warnings))
