"""Indexes over many vectors: HNSW on half precision, one a model, made beside running work once they pay."""

import psycopg
from psycopg import sql

from opdex.database import Database, load_statements
from opdex.observability import logger

_SQL = load_statements("opdex.embedding", "vector_index.sql")

# With fewer vectors a look at each is as fast, and what is written needs no index to be kept.
LEAST = 20_000
_MEMORY = "256MB"


def index_vectors(database: Database, *, seconds: float, least: int = LEAST) -> int:
    """Make the index of each model that has many vectors and none yet; returns how many were made.

    Nobody waits for it. What is not done in ``seconds`` is begun anew by the next call; a user who may not make indexes
    is logged, and search looks at each vector instead.
    """
    with database.transaction() as connection:
        models = connection.execute(_SQL["unindexed_models"], {"least": least}).fetchall()
    made = 0
    for model in models:
        try:
            _make_index(database, model["id"], model["dimension"], seconds)
            made += 1
        except psycopg.Error as error:
            logger.warning("vectors not indexed", model_id=model["id"], sqlstate=error.sqlstate)
    return made


def _make_index(database: Database, model_id: int, dimension: int, seconds: float) -> None:
    values = {
        "name": sql.Identifier(f"vectors_near_{model_id}"),
        "model": sql.Literal(model_id),
        "dimension": sql.Literal(dimension),
    }
    with database.connect_patiently(seconds) as connection:
        connection.execute(sql.SQL("SET maintenance_work_mem = {}").format(_MEMORY))
        connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(int(max(1.0, seconds) * 1000))))
        # One that was not finished is of no use.
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {name}").format(**values))
        connection.execute(
            sql.SQL(
                "CREATE INDEX CONCURRENTLY {name} ON vectors"
                " USING hnsw ((embedding::halfvec({dimension})) halfvec_cosine_ops) WHERE model_id = {model}"
            ).format(**values)
        )
