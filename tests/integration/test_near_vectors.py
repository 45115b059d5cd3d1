"""The index over many vectors: made once it pays, used for its model alone, and as good as a look at each."""

from contextlib import closing

from pydantic import SecretStr

from opdex.database import Database
from opdex.embedding.vector_index import index_vectors
from opdex.settings import DatabaseSettings
from tests.integration.engine import Engine, things

_NEAREST = "SELECT text_hash FROM nearest_texts(1, (SELECT embedding FROM vectors ORDER BY text_hash LIMIT 1), 5)"


def _embedded(engine: Engine, count: int) -> None:
    engine.job_id("things", things(count))
    engine.worker().handle()


def test_index_is_made_once_when_a_model_has_many_vectors(engine: Engine) -> None:
    _embedded(engine, 12)

    assert index_vectors(engine.database, seconds=30, least=13) == 0
    assert index_vectors(engine.database, seconds=30, least=12) == 1
    assert index_vectors(engine.database, seconds=30, least=12) == 0


def test_index_is_made_when_that_takes_longer_than_other_statements_may(database_url: str, engine: Engine) -> None:
    _embedded(engine, 3000)
    hasty = Database(DatabaseSettings(database_url=SecretStr(database_url), database_statement_seconds=0.1))

    with closing(hasty):
        assert index_vectors(hasty, seconds=60, least=1) == 1


def test_near_texts_are_the_same_when_there_is_an_index(engine: Engine) -> None:
    _embedded(engine, 40)
    looked_at = engine.sql(_NEAREST)

    index_vectors(engine.database, seconds=30, least=1)
    with engine.database.transaction() as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_sort = off")
        found = connection.execute(_NEAREST).fetchall()

    assert len(found) == 5
    assert found == looked_at


def test_index_is_made_anew_when_the_one_before_was_not_finished(engine: Engine) -> None:
    _embedded(engine, 12)
    index_vectors(engine.database, seconds=30, least=1)
    engine.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'vectors_near_1'::regclass")

    assert index_vectors(engine.database, seconds=30, least=1) == 1


def test_nothing_fails_when_the_user_may_not_make_indexes(engine: Engine) -> None:
    _embedded(engine, 12)
    engine.sql("CREATE ROLE reader_alone")
    try:
        engine.sql("GRANT SELECT ON models, vectors TO reader_alone")
        url = engine.settings.database_url
        assert url is not None
        other = Engine(
            f"{url.get_secret_value()}{'&' if '?' in url.get_secret_value() else '?'}options=-crole%3Dreader_alone"
        )
        assert index_vectors(other.database, seconds=30, least=1) == 0
        other.close()
    finally:
        engine.sql("DROP OWNED BY reader_alone")
        engine.sql("DROP ROLE reader_alone")
