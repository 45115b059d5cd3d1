"""The one way for a request to change something: in transactions that leave an entry in the audit."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opdex.database import Connection, Database
from opdex.http import audit_store
from opdex.http.audit_store import State, Subject
from opdex.http.authentication import Caller


@dataclass(frozen=True, slots=True)
class Call:
    """A request: who calls which operation, where."""

    who: Caller
    operation: str
    path: str
    request_id: str


_call: ContextVar[Call] = ContextVar("call")


@contextmanager
def under_way(call: Call) -> Iterator[None]:
    """Note whose changes those of the block are."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


class Changes:
    """One request's transactions on one subject. Those that write are one entry, written with them."""

    def __init__(self, database: Database, subject: Subject) -> None:
        self._database = database
        self._subject = subject
        self._before: State = None
        self._entry_id: int | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the block in one transaction. Raises what :func:`opdex.database.transaction` raises."""
        with self._database.transaction() as connection:
            audit_store.hold(connection, self._subject)
            if self._entry_id is None:
                self._before = audit_store.state_of(connection, self._subject)
            yield connection
            entry_id = self._record(connection, audit_store.state_of(connection, self._subject))
        self._entry_id = entry_id

    def _record(self, connection: Connection, after: State) -> int | None:
        if self._entry_id is not None:
            audit_store.go_on(connection, self._entry_id, after)
            return self._entry_id
        call = _call.get()
        return audit_store.record(
            connection,
            who=call.who,
            what=call.operation,
            path=call.path,
            subject=self._subject,
            request_id=call.request_id,
            before=self._before,
            after=after,
        )
