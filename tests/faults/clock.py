"""A clock for the database of a test: hours pass at once, for everything that asks Postgres for the time."""

import psycopg
from psycopg import sql

# Found before Postgres' own functions of the same name, by whatever connects from then on.
_CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.ahead (by interval NOT NULL);
INSERT INTO clock.ahead VALUES ('0');
CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql
    AS 'SELECT pg_catalog.now() + by FROM clock.ahead';
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
    AS 'SELECT pg_catalog.clock_timestamp() + by FROM clock.ahead';
"""


class Clock:
    """The time of one database; install it before the product connects."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(_CLOCK)
        search_path = sql.SQL("ALTER DATABASE {} SET search_path = clock, pg_catalog, public")
        self._connection.execute(search_path.format(sql.Identifier(self._connection.info.dbname)))
        self.passed = 0.0

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.passed += seconds
        self._connection.execute("UPDATE clock.ahead SET by = by + make_interval(secs => %s)", [seconds])

    def close(self) -> None:
        """Close the connection; the time stays as it is."""
        self._connection.close()
