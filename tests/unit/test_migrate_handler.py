"""What the migrate function writes down when it breaks."""

import logging

import pytest

from functions.migrate import handler as migrate_function
from opdex.catalog.segments import Rebuilt
from opdex.errors import DatabaseUnavailable, MigrationFailed, OpdexError
from tests.gateway import LambdaContext

_SECRET = "postgresql://opdex:hunter2@db"  # what a driver's words may quote


def _breaking(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def break_off(_settings: object) -> list[str]:
        raise error

    monkeypatch.setattr(migrate_function, "_migrate", break_off)


def test_words_of_others_are_not_written_down_when_a_migration_breaks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _breaking(monkeypatch, ValueError(_SECRET))
    with caplog.at_level(logging.DEBUG, "opdex"), pytest.raises(OpdexError) as raised:
        migrate_function.handler({}, LambdaContext())
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "invocation failed" in logged
    assert _SECRET not in logged + str(raised.value)


def test_own_words_are_kept_when_a_migration_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    _breaking(monkeypatch, MigrationFailed("0007 was changed."))
    with pytest.raises(MigrationFailed, match="0007 was changed"):
        migrate_function.handler({}, LambdaContext())


class _Deploy(LambdaContext):
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def _rebuilding(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[float]:
    """Let the migrations have run; return for how long segments are then made."""
    asked: list[float] = []

    def rebuild(database: object, limits: object, *, seconds: float) -> Rebuilt:
        asked.append(seconds)
        if error is not None:
            raise error
        return Rebuilt(segments=1)

    monkeypatch.setattr(migrate_function, "_migrate", lambda _settings: ["0001.sql"])
    monkeypatch.setattr(migrate_function, "rebuild_segments", rebuild)
    return asked


def test_segments_are_made_for_five_minutes_when_the_schema_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _rebuilding(monkeypatch)
    assert migrate_function.handler({}, _Deploy()) == {"applied": ["0001.sql"]}
    assert asked == [300]


def test_no_segments_are_made_when_the_migrations_took_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _rebuilding(monkeypatch)
    assert migrate_function.handler({}, LambdaContext()) == {"applied": ["0001.sql"]}
    assert asked == []


def test_deploy_succeeds_when_no_segments_can_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _rebuilding(monkeypatch, DatabaseUnavailable())
    with caplog.at_level(logging.WARNING, "opdex"):
        assert migrate_function.handler({}, _Deploy()) == {"applied": ["0001.sql"]}
    assert "segments not rebuilt" in caplog.text
