import boto3
import pytest

from opdex.errors import SecretUnavailable
from opdex.secrets import read_secret

pytestmark = pytest.mark.usefixtures("secrets")


def _make(value: str) -> str:
    return str(boto3.client("secretsmanager").create_secret(Name="key", SecretString=value)["ARN"])


def test_secret_is_kept_when_it_is_read_again_soon() -> None:
    arn = _make("before")
    assert read_secret(arn) == "before"
    boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="after")
    assert read_secret(arn) == "before"
    assert read_secret(arn, fresh=True) == "after"


def test_rotated_secret_is_read_when_a_minute_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.secrets._KEPT_SECONDS", 0.0)
    arn = _make("before")
    assert read_secret(arn) == "before"
    boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="after")
    assert read_secret(arn) == "after"


def test_secret_is_unavailable_when_there_is_none() -> None:
    with pytest.raises(SecretUnavailable) as raised:
        read_secret("arn:aws:secretsmanager:eu-central-1:123456789012:secret:none")
    assert "ResourceNotFound" in raised.value.details["cause"]
