"""The index over many vectors: made once it pays, used for its model alone, and as good as a look at each."""

import time
from contextlib import closing

import psycopg
import pytest
from pydantic import SecretStr

from opdex.database import Database
from opdex.embedding import vector_index
from opdex.embedding.vector_index import Indexed, index_vectors
from opdex.settings import DatabaseSettings
from tests.integration.engine import Engine, things

_NEAREST = "SELECT text_hash FROM nearest_texts(1, (SELECT embedding FROM vectors ORDER BY text_hash LIMIT 1), 5)"
_NAME = "vectors_near_1_8"


def _embedded(engine: Engine, count: int) -> None:
    engine.job_id("things", things(count))
    engine.worker().handle()


def _indexes(engine: Engine) -> list[tuple[str, bool]]:
    """Return the indexes over near vectors, and whether each is valid."""
    rows = engine.sql(
        "SELECT indexrelid::regclass::text AS name, indisvalid FROM pg_index"
        " WHERE indexrelid::regclass::text LIKE 'vectors_near%%' ORDER BY name"
    )
    return [(row["name"], row["indisvalid"]) for row in rows]


def _attempts(engine: Engine) -> list[tuple[int, float | None]]:
    """Return how often it was tried for each model, and after how many minutes it will be again."""
    rows = engine.sql(
        "SELECT index_attempts, extract(epoch FROM index_again_at - now()) / 60 AS minutes FROM models ORDER BY id"
    )
    return [(row["index_attempts"], row["minutes"] and round(float(row["minutes"]))) for row in rows]


def test_index_is_made_once_when_a_model_has_many_vectors(engine: Engine) -> None:
    _embedded(engine, 12)

    assert index_vectors(engine.database, seconds=30, least=13) == Indexed()
    assert index_vectors(engine.database, seconds=30, least=12) == Indexed(made=1)
    assert _indexes(engine) == [(_NAME, True)]
    assert index_vectors(engine.database, seconds=30, least=12) == Indexed()
    assert _attempts(engine) == [(0, None)]


def test_nothing_is_begun_when_there_is_no_time_left(engine: Engine) -> None:
    _embedded(engine, 12)

    assert index_vectors(engine.database, seconds=0, least=1) == Indexed()
    assert _attempts(engine) == [(0, None)]


def test_index_is_made_when_that_takes_longer_than_other_statements_may(database_url: str, engine: Engine) -> None:
    _embedded(engine, 3000)
    hasty = Database(DatabaseSettings(database_url=SecretStr(database_url), database_statement_seconds=0.1))

    with closing(hasty):
        assert index_vectors(hasty, seconds=60, least=1) == Indexed(made=1)


def test_server_goes_on_when_nobody_waits_for_the_index(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _embedded(engine, 3000)
    monkeypatch.setattr(vector_index, "_LEAST_MEMORY", 1024 * 1024)  # too little: the server has something to say of it
    engine.sql("UPDATE pg_class SET reltuples = 1 WHERE oid = 'vectors'::regclass")

    assert index_vectors(engine.database, seconds=0.05, least=1) == Indexed(going_on=1)
    assert index_vectors(engine.database, seconds=0.05, least=1) == Indexed()
    assert _attempts(engine) == [(1, 20)]

    while _indexes(engine) != [(_NAME, True)]:
        time.sleep(0.1)
    assert index_vectors(engine.database, seconds=30, least=1) == Indexed()
    assert _attempts(engine) == [(0, None)]


def test_near_texts_are_the_same_when_there_is_an_index(engine: Engine) -> None:
    _embedded(engine, 40)
    looked_at = engine.sql(_NEAREST)

    index_vectors(engine.database, seconds=30, least=1)
    with engine.database.transaction() as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_sort = off")
        found = connection.execute(_NEAREST).fetchall()
        used = connection.execute("SELECT pg_stat_get_xact_numscans(%s::regclass) AS scans", [_NAME]).fetchone()

    assert len(found) == 5
    assert found == looked_at
    assert used == {"scans": 1}


def test_index_that_was_not_finished_goes_at_once_and_is_made_anew_in_time(engine: Engine) -> None:
    _embedded(engine, 12)
    index_vectors(engine.database, seconds=30, least=1)
    engine.sql("UPDATE models SET index_attempts = 2, index_again_at = now() + interval '1 minute'")
    engine.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", _NAME)

    assert index_vectors(engine.database, seconds=30, least=1) == Indexed()
    assert _indexes(engine) == []

    engine.sql("UPDATE models SET index_again_at = now()")
    assert index_vectors(engine.database, seconds=30, least=1) == Indexed(made=1)
    assert _attempts(engine) == [(0, None)]


def test_attempts_are_made_after_longer_and_longer_times_when_all_fail(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _embedded(engine, 12)

    def failing(*_: object) -> None:
        raise psycopg.errors.DiskFull

    monkeypatch.setattr(vector_index, "_make_index", failing)
    minutes = []
    for _ in range(9):
        engine.sql("UPDATE models SET index_again_at = now()")
        assert index_vectors(engine.database, seconds=30, least=1) == Indexed(failures=1)
        assert index_vectors(engine.database, seconds=30, least=1) == Indexed()
        minutes.append(_attempts(engine)[0][1])
    assert minutes == [20, 40, 80, 160, 320, 640, 1280, 1440, 1440]


def test_no_index_is_made_of_what_no_spec_has_published(engine: Engine) -> None:
    _embedded(engine, 12)
    index_vectors(engine.database, seconds=30, least=1)
    engine.sql("UPDATE specs SET published_revision = NULL, published_model_id = NULL")

    assert index_vectors(engine.database, seconds=30, least=1) == Indexed()
    assert _indexes(engine) == []


def test_vectors_of_another_length_are_written_when_there_is_an_index(engine: Engine) -> None:
    _embedded(engine, 12)
    index_vectors(engine.database, seconds=30, least=1)
    engine.sql("DELETE FROM vectors")
    engine.sql("UPDATE models SET dimension = 3")
    for number in range(4):
        engine.sql(
            "INSERT INTO vectors (model_id, text_hash, embedding) VALUES (1, sha256(%s::text::bytea), '[1,0,0]')",
            number,
        )

    assert index_vectors(engine.database, seconds=30, least=1) == Indexed(made=1)
    assert _indexes(engine) == [("vectors_near_1_3", True)]
    assert len(engine.sql("SELECT text_hash FROM nearest_texts(1, '[1,0,0]', 5)")) == 4


def test_nothing_fails_when_the_user_may_not_make_indexes(engine: Engine) -> None:
    _embedded(engine, 12)
    engine.sql("CREATE ROLE reader_alone")
    try:
        engine.sql("GRANT SELECT, UPDATE ON models, specs, vectors TO reader_alone")
        url = engine.settings.database_url
        assert url is not None
        other = Engine(
            f"{url.get_secret_value()}{'&' if '?' in url.get_secret_value() else '?'}options=-crole%3Dreader_alone"
        )
        assert index_vectors(other.database, seconds=30, least=1) == Indexed(failures=1)
        other.close()
    finally:
        engine.sql("DROP OWNED BY reader_alone")
        engine.sql("DROP ROLE reader_alone")
