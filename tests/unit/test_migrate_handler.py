"""What the migrate function writes down when it breaks."""

import logging

import pytest

from functions.migrate import handler as migrate_function
from opdex.errors import MigrationFailed, OpdexError
from tests.gateway import LambdaContext

_SECRET = "postgresql://opdex:hunter2@db"  # what a driver's words may quote


def _breaking(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def break_off() -> list[str]:
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
