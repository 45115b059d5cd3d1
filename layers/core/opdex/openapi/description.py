"""What a document says, as the rest of the system sees it."""

from collections import Counter
from dataclasses import dataclass, field

from opdex.openapi.plain_text import cut, on_one_line, storable

MAX_WARNINGS_PER_CODE = 20
MAX_MESSAGE, MAX_POINTER = 500, 2000
MAX_WARNING_CHARACTERS = 50_000  # in all messages and pointers of a document


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the word of the HTTP contract; nothing here uses Python's own
    """Something that was repaired or skipped, and where: ``pointer`` is a JSON pointer."""

    code: str
    message: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Fields:
    """The names and texts around an operation: each one line, names with spaces between, at most a hundred."""

    parameters: str = ""
    path_parameters: str = ""
    parameter_descriptions: str = ""
    body_properties: str = ""
    response_description: str = ""
    response_schema: str = ""
    response_properties: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``text`` is what gets embedded; ``text_hash`` its key, 32 bytes, which stands for it.

    ``fields`` is what search by words knows beside; it is not stored with the operation.
    """

    operation_id: str
    method: str
    path: str
    summary: str
    description: str
    tags: tuple[str, ...]
    deprecated: bool
    text: str = field(compare=False)
    text_hash: bytes
    fields: Fields = field(default=Fields(), compare=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request that the API makes itself, and what it is called; ``summary`` is one line."""

    name: str
    method: str
    operation_id: str
    summary: str
    deprecated: bool


@dataclass(frozen=True)
class Description:
    """One OpenAPI document: its operations and webhooks in the document's order, and what was wrong with it."""

    title: str
    openapi_version: str
    base_path: str
    operations: tuple[Operation, ...]
    webhooks: tuple[Webhook, ...]
    warnings: tuple[Warning, ...]


def json_pointer(*tokens: str | int) -> str:
    """Return the JSON pointer (RFC 6901) made of these tokens."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


class Findings:
    """Collects warnings; of each code only the first few are kept, while there is room, and the rest are counted."""

    def __init__(self) -> None:
        self._kept: list[Warning] = []
        self._room = MAX_WARNING_CHARACTERS
        self._counts: Counter[str] = Counter()
        self._more: Counter[str] = Counter()

    def add(self, code: str, message: str, *tokens: str | int) -> None:
        """Note one finding at the place that the tokens lead to."""
        self._counts[code] += 1
        if self._counts[code] > MAX_WARNINGS_PER_CODE or self._room <= 0:
            self._more[code] += 1
            return
        pointer = json_pointer(*(cut(str(token), MAX_POINTER) for token in tokens))
        warning = Warning(code, cut(on_one_line(message), MAX_MESSAGE), cut(storable(pointer), MAX_POINTER))
        self._kept.append(warning)
        self._room -= len(warning.message) + len(warning.pointer)

    def warnings(self) -> tuple[Warning, ...]:
        """Return what was kept, and one closing line for each code that has more."""
        more = [Warning(code, f"{count} more of the same kind.", "") for code, count in self._more.items()]
        return (*self._kept, *more)
