"""The audit as it is stored: an entry for each request that changed something, written in that change's transaction."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from psycopg.types.json import Jsonb
from pydantic import BaseModel

from opdex.database import Connection, Database, load_statements
from opdex.http.authentication import Caller
from opdex.timestamps import Timestamp

_SQL = load_statements("opdex.http", "audit.sql")
_BATCH = 1000

type State = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request changes; it need not be there before, or after."""

    kind: Literal["catalog", "spec", "job", "key"]
    names: Mapping[str, str | int]

    @classmethod
    def catalog(cls, catalog_id: str) -> Self:
        """Return a catalog as a subject."""
        return cls("catalog", {"catalog_id": catalog_id})

    @classmethod
    def spec(cls, catalog_id: str, spec_name: str) -> Self:
        """Return a spec as a subject."""
        return cls("spec", {"catalog_id": catalog_id, "spec_name": spec_name})

    @classmethod
    def job(cls, job_id: int) -> Self:
        """Return an embedding job as a subject."""
        return cls("job", {"job_id": job_id})

    @classmethod
    def key(cls, key_id: str) -> Self:
        """Return an API key as a subject."""
        return cls("key", {"key_id": key_id})

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(map(str, self.names.values()))}"


class Entry(BaseModel):
    """One request that changed something. ``what`` is the operation's id; a state is null where there is nothing."""

    id: int
    when: Timestamp
    who: Caller
    what: str
    path: str
    subject: str
    request_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def hold(connection: Connection, subject: Subject) -> None:
    """Let no other change of the subject begin before this transaction has ended; first of all its locks."""
    connection.execute(_SQL["hold"], {"subject": str(subject)})


def state_of(connection: Connection, subject: Subject) -> State:
    """Return what there is of the subject, without any secret; None where there is nothing."""
    row = connection.execute(_SQL[subject.kind], subject.names).fetchone()
    return None if row is None else row["state"]


def record(
    connection: Connection,
    *,
    who: Caller,
    what: str,
    path: str,
    subject: Subject,
    request_id: str,
    before: State,
    after: State,
) -> int | None:
    """Write an entry and return its id; None, and nothing written, where this transaction has written nothing."""
    values = {
        "who": Jsonb(who.model_dump(exclude_none=True)),
        "what": what,
        "path": path,
        "subject": str(subject),
        "request_id": request_id,
        "before": before and Jsonb(before),
        "after": after and Jsonb(after),
    }
    row = connection.execute(_SQL["record"], values).fetchone()
    return None if row is None else int(row["id"])


def go_on(connection: Connection, entry_id: int, after: State) -> None:
    """Note what a later transaction of the same request came to."""
    connection.execute(_SQL["go_on"], {"id": entry_id, "after": after and Jsonb(after)})


def list_entries(connection: Connection, limit: int, before: int | None = None) -> list[Entry]:
    """Return entries, newest first, from the one before ``before``."""
    return [Entry(**row) for row in connection.execute(_SQL["list_entries"], {"limit": limit, "before": before})]


def forget_entries(database: Database, *, days: int, seconds: float) -> int:
    """Drop entries older than so many days, for so long at most; return how many went."""
    ends_at = time.monotonic() + seconds
    forgotten = 0
    while time.monotonic() < ends_at:
        with database.transaction() as connection:
            gone = connection.execute(_SQL["forget_entries"], {"days": days, "batch": _BATCH}).rowcount
        forgotten += gone
        if gone < _BATCH:
            break
    return forgotten
