"""One Postgres connection a process, kept warm between invocations, and the named SQL statements of a package."""

import json
import math
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import files
from typing import Any, LiteralString, Protocol, cast
from urllib.parse import quote, urlencode

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import DictRow, dict_row

from opdex.errors import ConfigurationError, DatabaseFailed, DatabaseUnavailable, SecretUnavailable
from opdex.observability import logger
from opdex.secrets import read_secret
from opdex.settings import DatabaseSettings

type Connection = psycopg.Connection[DictRow]
type Statements = Mapping[str, LiteralString]

# A peer that vanishes without a word is noticed within about 20 s, well inside a lease.
_CONNECTION = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "application_name": "opdex",
}

_ASK_AGAIN_SECONDS = 1.0
# Of a statement that is asked when its time is over already.
_LEAST_SECONDS = 0.1
# Of an attempt to connect: psycopg takes no less.
_LEAST_CONNECT_SECONDS = 2

# Statements that ask for it are prepared. The others look at tables that may have grown a thousandfold since a plan was
# made, and are planned each time.
_ONLY_WHEN_ASKED = sys.maxsize

# An OperationalError to psycopg, and yet the fault of the statement, whenever it is run.
_LIMIT_EXCEEDED = "54"


def load_statements(package: str, file: str) -> Statements:
    """Return the statements of a SQL file by name; each follows a line ``-- name: the_name`` and ends with ``;``."""
    parts = re.split(r"^-- name: (\w+)\n", files(package).joinpath(file).read_text("utf-8"), flags=re.MULTILINE)
    bodies = (body.strip().removesuffix(";") for body in parts[2::2])
    return cast(Statements, dict(zip(parts[1::2], bodies, strict=True)))


def database_url(settings: DatabaseSettings) -> str:
    """Return the connection URL, from the secret where one is named. Raises ConfigurationError, DatabaseUnavailable."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    if settings.database_secret_arn is None:
        raise ConfigurationError("Set DATABASE_SECRET_ARN (or DATABASE_URL) to say where Postgres is.")
    try:
        secret = read_secret(settings.database_secret_arn)
    except SecretUnavailable as error:
        raise DatabaseUnavailable("The database's secret cannot be read.", **error.details) from error
    if secret.startswith(("postgresql://", "postgres://")):
        return secret
    try:
        fields = json.loads(secret)
        login = f"{quote(fields['username'], safe='')}:{quote(fields['password'], safe='')}"
        host = fields.get("host") or settings.database_host
        place = f"{host}:{fields.get('port', settings.database_port)}/{fields.get('dbname', settings.database_name)}"
    except (ValueError, KeyError, TypeError):
        host = None
    if host is None:
        raise ConfigurationError(
            "The database secret must be a postgresql:// URL, or JSON with username, password, host, port, dbname;"
            " or with a login alone where DATABASE_HOST is set."
        ) from None
    return f"postgresql://{login}@{place}?{urlencode({'sslmode': 'require'})}"


@contextmanager
def transaction(connection: Connection) -> Iterator[Connection]:
    """Run the block in one transaction of this connection.

    Raises DatabaseUnavailable where the server is away or gone mid-way, DatabaseFailed where it refuses a statement.
    """
    with _translated(), connection.transaction():
        yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        passing = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if passing and (error.sqlstate or "")[:2] != _LIMIT_EXCEEDED:
            raise DatabaseUnavailable(cause=type(error).__name__) from error
        raise DatabaseFailed(cause=type(error).__name__) from error


class _Connection(psycopg.Connection[DictRow]):
    """Gives up a statement that is not answered in time.

    Keepalives notice a peer that is gone. One that is stuck still acknowledges, and would be waited for without end.
    """

    patience: Callable[[], float] | None = None  # the seconds that a statement may take from now on

    def wait[T](self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        began = time.monotonic()
        patience = None if self.patience is None else self.patience()
        try:
            return super().wait(gen, interval, timeout or patience)
        except psycopg.OperationalError as error:
            if patience is None or time.monotonic() - began < patience:
                raise
            self.pgconn.finish()  # its answer, should it still come, would be taken for that of the next statement
            raise psycopg.errors.ConnectionTimeout("The database did not answer in time.") from error


class Transactions(Protocol):
    """What runs transactions."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Run the block in one transaction. Raises what :func:`transaction` raises."""


class Database:
    """A lazily opened connection that is opened anew when it was lost. Not for use by two threads at once."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._gives_up_at = math.inf

    @contextmanager
    def giving_up_after(self, seconds: float) -> Iterator[None]:
        """Wait for no statement of the block beyond so many seconds from now, however long the settings let it take.

        Nor is a connection opened after that; one that is being opened has two seconds at least.
        """
        self._gives_up_at = time.monotonic() + seconds
        try:
            yield
        finally:
            self._gives_up_at = math.inf

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Connection]:
        """Run the block in one transaction. Raises what :func:`transaction` raises."""
        connection = self._live_connection()
        if bool(connection.read_only) != read_only:
            connection.read_only = read_only or None  # said with BEGIN; None leaves it to the server
        try:
            with transaction(connection):
                yield connection
        except DatabaseUnavailable:
            self.close()
            raise

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """Run the block's one statement, without BEGIN and COMMIT around it. Raises what :func:`transaction` raises."""
        connection = self._live_connection()
        try:
            with _translated():
                yield connection
        except DatabaseUnavailable:
            self.close()
            raise

    def wait(self, seconds: float) -> None:
        """Return once the server answers; one that is paused takes a while to. Raises DatabaseUnavailable."""
        end = time.monotonic() + seconds
        while True:
            try:
                self._live_connection()
            except DatabaseUnavailable:
                if time.monotonic() >= end:
                    raise
                time.sleep(_ASK_AGAIN_SECONDS)
            else:
                return

    def connect(self) -> Connection:
        """Open one more connection, of the caller's own. Raises DatabaseUnavailable."""
        try:
            connection = _Connection.connect(
                database_url(self._settings),
                autocommit=True,
                row_factory=dict_row,
                prepare_threshold=_ONLY_WHEN_ASKED if self._settings.database_prepares else None,
                **cast(dict[str, Any], _CONNECTION | {"connect_timeout": self._connect_timeout()}),
            )
        except psycopg.OperationalError as error:
            # The end of its first line says why; what is before it may hold parts of the address.
            reason = str(error).partition("\n")[0].rpartition(": ")[2]
            logger.warning("database not reached", reason=reason)
            raise DatabaseUnavailable(cause=type(error).__name__) from error
        connection.patience = self._patience
        return connection

    def connect_patiently(self, statement_seconds: float) -> Connection:
        """Open one more connection, whose statements may take so long. Raises DatabaseUnavailable."""
        connection = self.connect()
        cast(_Connection, connection).patience = lambda: statement_seconds
        return connection

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect_timeout(self) -> int:
        left = self._gives_up_at - time.monotonic()
        if left <= 0:
            raise DatabaseUnavailable(cause=psycopg.errors.ConnectionTimeout.__name__)
        return max(_LEAST_CONNECT_SECONDS, int(min(left, float(_CONNECTION["connect_timeout"]))))

    def _patience(self) -> float:
        left = self._gives_up_at - time.monotonic()
        return max(_LEAST_SECONDS, min(self._settings.database_statement_seconds, left))

    def _live_connection(self) -> Connection:
        if self._connection is not None and _was_dropped(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self.connect()
        return self._connection


class ReadOnly:
    """A database's transactions in which Postgres refuses every write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[Connection]:
        """Run the block in one transaction. Raises what :func:`transaction` raises."""
        return self._database.transaction(read_only=True)


def _was_dropped(connection: Connection) -> bool:
    # An idle connection has nothing to read: a readable socket is the server's goodbye. Costs no round trip.
    if connection.closed:
        return True
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if not readable:
        return False
    try:
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return connection.broken
