import pytest

from opdex.errors import ConfigurationError
from opdex.settings import ApiSettings, EmbedSettings


def test_missing_variables_are_named_when_the_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBED_QUEUE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="EMBED_QUEUE_URL: Field required"):
        ApiSettings.read()


def test_wrong_value_is_named_when_the_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBED_QUEUE_URL", "queue")
    monkeypatch.setenv("EMBEDDING_PROVIDER", "abacus")
    with pytest.raises(ConfigurationError, match="EMBEDDING_PROVIDER"):
        ApiSettings.read()


def test_default_is_taken_when_a_variable_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBED_QUEUE_URL", "queue")
    monkeypatch.setenv("WORKERS", "")
    assert EmbedSettings.read().workers == 1


def test_password_is_hidden_when_the_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBED_QUEUE_URL", "queue")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hidden@localhost/opdex")
    assert "hidden" not in repr(EmbedSettings.read())
