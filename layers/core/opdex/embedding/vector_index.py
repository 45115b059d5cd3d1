"""Indexes over many vectors: HNSW on half precision, one a model, made beside running work once they pay."""

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from opdex.database import Connection, Database, load_statements
from opdex.observability import logger

_SQL = load_statements("opdex.embedding", "vector_index.sql")

# With fewer vectors a look at each is as fast, and what is written needs no index to be kept.
LEAST = 20_000
# What is made in memory takes a third of the time. A vector has two octets a dimension there, and its neighbours.
_LEAST_MEMORY: Final = 256 * 1024 * 1024
_NEIGHBOURS: Final = 720
_LONGEST: Final = "6h"


@dataclass(frozen=True, slots=True)
class Indexed:
    """How many indexes were made, are still being made, and came to nothing."""

    made: int = 0
    going_on: int = 0
    failures: int = 0


def index_vectors(database: Database, *, seconds: float, least: int = LEAST) -> Indexed:
    """Make the index of each published model that has many vectors and none yet.

    Nobody waits for it: what is not made in ``seconds`` the server goes on with alone. One that came to nothing is
    logged, and tried again after twice the time of the one before; search looks at each vector until then.
    """
    if seconds <= 0:
        return Indexed()
    made = going_on = failures = 0
    _drop_useless(database, seconds)
    _forget_attempts(database)
    with database.transaction() as connection:
        models = connection.execute(_SQL["unindexed_models"], {"least": least}).fetchall()
    for model in models:
        with database.transaction() as connection:
            attempt = connection.execute(_SQL["begin_attempt"], model).fetchone()
        if attempt is None:
            continue
        try:
            _make_index(database, model, seconds)
            made += 1
            _forget_attempts(database)
        except psycopg.errors.ConnectionTimeout:
            going_on += 1
            logger.info("vectors are being indexed", model_id=model["id"], attempts=attempt["index_attempts"])
        except psycopg.Error as error:
            failures += 1
            logger.warning(
                "vectors not indexed",
                model_id=model["id"],
                attempts=attempt["index_attempts"],
                sqlstate=error.sqlstate,
            )
    return Indexed(made, going_on, failures)


def _drop_useless(database: Database, seconds: float) -> None:
    with database.transaction() as connection:
        useless = [row["name"] for row in connection.execute(_SQL["useless_indexes"]).fetchall()]
    for name in useless:
        try:
            with database.connect_patiently(seconds) as connection:
                connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))
        except psycopg.Error as error:
            logger.warning("index of vectors not dropped", index=name, sqlstate=error.sqlstate)


def _forget_attempts(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(_SQL["forget_attempts"])


def _make_index(database: Database, model: dict[str, Any], seconds: float) -> None:
    with database.connect_patiently(seconds) as connection:
        _settle_in(connection, model)
        # A vector of another length has no place in the index, and is no error of whoever writes it.
        connection.execute(
            sql.SQL(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON vectors USING hnsw"
                " (((CASE WHEN vector_dims(embedding) = {dimension} THEN embedding END)::halfvec({dimension}))"
                " halfvec_cosine_ops) WHERE model_id = {model}"
            ).format(
                name=sql.Identifier(f"vectors_near_{model['id']}_{model['dimension']}"),
                model=sql.Literal(model["id"]),
                dimension=sql.Literal(model["dimension"]),
            )
        )


def _settle_in(connection: Connection, model: dict[str, Any]) -> None:
    """Let the session make an index in peace, whether or not somebody waits for it."""
    needed = int(model["about"]) * (2 * model["dimension"] + _NEIGHBOURS)
    memory = max(_LEAST_MEMORY, min(needed, model["shared_buffers"] // 2))
    for name, value in {
        "maintenance_work_mem": f"{memory // 1024}kB",
        "max_parallel_maintenance_workers": "0",  # the other processors are for searches
        "statement_timeout": _LONGEST,
        "client_connection_check_interval": "0",
        "client_min_messages": "error",  # a notice that nobody takes would end the session
    }.items():
        connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
