"""What the server does for sessions that nobody waits for any more, set for the login that the functions share."""

from typing import Final

from psycopg import sql

from opdex.database import Connection

# A worker that is frozen in the middle of a transaction must not keep its locks: others skip what is locked. And what
# was asked for by one who gave up, or is gone, must not go on.
GUARDS: Final = {"idle_in_transaction_session_timeout": "20s", "client_connection_check_interval": "1s"}


def guard_sessions(connection: Connection) -> bool:
    """Set the guards for new sessions of this login in this database, where they are not; return whether they were not.

    A login that took over by rotation, or a database that was restored, has none yet.
    """
    row = connection.execute("SELECT current_database()::text AS name").fetchone()
    assert row is not None  # noqa: S101 - always one row
    is_new = False
    for setting, value in GUARDS.items():
        found = connection.execute("SELECT current_setting(%s) AS value", [setting]).fetchone()
        if found == {"value": value}:
            continue
        connection.execute(
            sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}").format(
                sql.Identifier(row["name"]), sql.Identifier(setting), sql.Literal(value)
            )
        )
        is_new = True
    return is_new
