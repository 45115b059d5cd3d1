"""The one error tree. A class's docstring is its default message; its ``code`` is stable once published."""

from typing import Any, ClassVar


class OpdexError(Exception):
    """Something went wrong in Opdex; see the log for the cause."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = details
        super().__init__(self.message)


# What the caller sent.


class MalformedRequest(OpdexError):
    """The request is malformed; compare it with /openapi.json."""

    code = "malformed_request"


class SourceRefused(OpdexError):
    """Documents are only fetched by https from public addresses, at port 443 and without a user name."""

    code = "source_refused"


class NotUrlSourced(OpdexError):
    """The spec's document was sent, not fetched: there is no URL to refresh it from."""

    code = "not_url_sourced"


class Unauthenticated(OpdexError):
    """Send a valid key in the X-API-Key header, or as Authorization: Bearer."""

    code = "unauthenticated"


class Forbidden(OpdexError):
    """The key's role is too low for this call."""

    code = "forbidden"


class NotFound(OpdexError):
    """There is nothing at this address."""

    code = "not_found"


class CatalogNotFound(NotFound):
    """There is no such catalog."""

    code = "catalog_not_found"


class SpecNotFound(NotFound):
    """There is no such spec in this catalog."""

    code = "spec_not_found"


class OperationNotFound(NotFound):
    """There is no such operation in this spec."""

    code = "operation_not_found"


class JobNotFound(NotFound):
    """There is no such embedding job."""

    code = "job_not_found"


class KeyNotFound(NotFound):
    """There is no such key."""

    code = "key_not_found"


class MethodNotAllowed(OpdexError):
    """This address does not take that method; /openapi.json lists what it takes."""

    code = "method_not_allowed"


class Conflict(OpdexError):
    """The call conflicts with what is stored."""

    code = "conflict"


class CatalogExists(Conflict):
    """A catalog with this id, or with this name and version, exists already."""

    code = "catalog_exists"


class JobHasEnded(Conflict):
    """The job has ended, so it cannot be cancelled."""

    code = "job_has_ended"


class JobIsOpen(Conflict):
    """The job is still open; only a failed or cancelled one can be tried again."""

    code = "job_is_open"


class JobHasSucceeded(Conflict):
    """The job has succeeded, so there is nothing to try again; a re-embed embeds the spec once more."""

    code = "job_has_succeeded"


class FirstAdminKeyStays(Conflict):
    """The first admin key is made from its secret, so that somebody can always get in; change the secret to end it."""

    code = "first_admin_key_stays"


class SourceChanged(Conflict):
    """The spec was changed while its document was fetched, so what was fetched is not stored; refresh again."""

    code = "source_changed"


class TooLarge(OpdexError):
    """The body is larger than this service takes; send it gzip'd as application/gzip."""

    code = "too_large"


class ContentTooLarge(OpdexError):
    """The document is larger than one answer; ask for it piece by piece, with a Range header."""

    code = "content_too_large"


class RangeNotSatisfiable(OpdexError):
    """The document does not reach to where the Range header begins."""

    code = "range_not_satisfiable"


class UnsupportedMediaType(OpdexError):
    """Send JSON, YAML, gzip or zip as such, as application/octet-stream or multipart/form-data."""

    code = "unsupported_media_type"


class DocumentError(OpdexError):
    """The document is not a usable OpenAPI description."""

    code = "document_unusable"


class DocumentEmpty(DocumentError):
    """The document is empty."""

    code = "document_empty"


class DocumentUnreadable(DocumentError):
    """The document is neither JSON nor YAML that can be read."""

    code = "document_unreadable"


class ArchiveUnusable(DocumentError):
    """The zip archive cannot be used as it is; pack it again with plain files and relative paths."""

    code = "archive_unusable"


class NotOpenApi(DocumentError):
    """The document has no `openapi` or `swagger` version field, so it is no OpenAPI description."""

    code = "not_openapi"


class UnsupportedVersion(DocumentError):
    """Only OpenAPI 2.0 and 3.0 to 3.2 are understood."""

    code = "unsupported_openapi_version"


class DocumentTooComplex(DocumentError):
    """The document passes one of the limits on depth, nodes or operations."""

    code = "document_too_complex"


# Where documents are fetched.


class SourceError(OpdexError):
    """The document could not be fetched."""

    code = "source_error"


class SourceFailed(SourceError):
    """The server answered with something other than a document."""

    code = "source_failed"


class SourceUnreachable(SourceError):
    """The server cannot be reached."""

    code = "source_unreachable"


class SourceTimeout(SourceError):
    """The server did not deliver the document in time."""

    code = "source_timeout"


class OutboundUnavailable(SourceError):
    """Nothing outside is reached from here. Functions in a VPC need a NAT gateway to fetch; or upload the document."""

    code = "outbound_unavailable"


# The embedding provider. What counts as an attempt is decided by these classes (see jobs).


class ProviderError(OpdexError):
    """The embedding provider did not do its work."""

    code = "provider_error"


class ProviderThrottled(ProviderError):
    """The embedding provider asks to be called less often. ``retry_after`` is in seconds, None where it gave none."""

    code = "provider_throttled"

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class ProviderUnavailable(ProviderError):
    """The embedding provider is away: it refuses connections, or answers 502, 503 or 504."""

    code = "provider_unavailable"

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class ProviderTimeout(ProviderUnavailable):
    """The embedding provider did not answer in time."""

    code = "provider_timeout"


class ProviderUnreached(ProviderTimeout):
    """The embedding provider took no connection in time. No text is to blame for that."""

    code = "provider_unreached"


class ProviderFailed(ProviderError):
    """The embedding provider answered with an error of its own."""

    code = "provider_failed"


class ProviderMisbehaved(ProviderError):
    """The embedding provider answered with something other than one usable vector a text."""

    code = "provider_misbehaved"


class ProviderRefused(ProviderError):
    """The embedding provider refuses this configuration: check the model's name, the URL and the secret."""

    code = "provider_refused"


class TextRejected(ProviderError):
    """The embedding provider refuses the text itself."""

    code = "text_rejected"


class TextTooSlow(ProviderError):
    """One text cannot be embedded within a whole invocation; raise EmbedTimeoutSeconds or use a faster model."""

    code = "text_too_slow"


# The service itself.


class ConfigurationError(OpdexError):
    """The service is not configured."""

    code = "configuration_error"


class LeaseLost(OpdexError):
    """Another worker holds the job now; this one must stop and write nothing more."""

    code = "lease_lost"


class SliceBroke(OpdexError):
    """A worker met an error that it does not know; its log has the details."""

    code = "slice_broke"


class DatabaseFailed(OpdexError):
    """The database refused a statement; see the log for the cause."""

    code = "database_failed"


class DatabaseUnavailable(OpdexError):
    """The database is away; try again shortly."""

    code = "database_unavailable"


class SecretUnavailable(OpdexError):
    """A secret cannot be read; try again shortly."""

    code = "secret_unavailable"


class TokenKeysUnavailable(OpdexError):
    """The keys that tokens are signed with cannot be fetched; try again shortly."""

    code = "token_keys_unavailable"


class QueueUnavailable(OpdexError):
    """The wake-up queue did not take a message; the sweep will send it again."""

    code = "queue_unavailable"


class MigrationFailed(OpdexError):
    """A migration could not be applied."""

    code = "migration_failed"


class MalformedWakeUp(OpdexError):
    """The message is no wake-up that this version understands."""

    code = "malformed_wake_up"


class AnswerTooLarge(OpdexError):
    """The answer would pass the 6 MB that a function can return; ask for less with `limit`."""

    code = "answer_too_large"
