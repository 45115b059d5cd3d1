"""How long Postgres itself takes for the statements that the product runs."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.rows import DictRow

from opdex.database import Connection, Database, load_statements
from opdex.settings import DatabaseSettings

_EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "


class _ExplainedConnection(psycopg.Connection[DictRow]):
    """Runs each statement that is one of the named ones a first time under EXPLAIN, and undoes that."""

    explained: "ExplainedDatabase"

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[DictRow]:
        name = self.explained.names.get(query)
        if name is not None:
            with self.transaction(force_rollback=True):
                row = super().execute(_EXPLAIN + query, params).fetchone()
            assert row is not None
            (plan,) = row["QUERY PLAN"]
            self.explained.milliseconds[name].append(plan["Planning Time"] + plan["Execution Time"])
        return super().execute(query, params, **options)


class ExplainedDatabase(Database):
    """The product's own database access, which keeps for each statement of these files how long Postgres took for it.

    ``milliseconds`` has planning and execution, without what lies between client and server, by the statement's name.
    """

    def __init__(self, settings: DatabaseSettings, package: str, files: Iterable[str]) -> None:
        super().__init__(settings)
        self.milliseconds: dict[str, list[float]] = defaultdict(list)
        self.names = {text: name for file in files for name, text in load_statements(package, file).items()}

    def connect(self) -> Connection:
        connection = super().connect()
        connection.__class__ = _ExplainedConnection
        connection.explained = self  # type: ignore[attr-defined]
        return connection
