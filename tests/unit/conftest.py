"""What unit tests of several modules need."""

from collections.abc import Iterator

import pytest
from moto import mock_aws


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Secrets Manager of the test's own."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("opdex.secrets._kept", {})
    with mock_aws():
        yield
