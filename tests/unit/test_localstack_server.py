"""How LocalStack is found or started, as far as nothing has to be started for it."""

from importlib.metadata import distributions
from pathlib import Path

import httpx
import pytest

from local.errors import LocalRunError
from local.ports import free_port
from tests.document_server import DocumentServer
from tests.localstack import server
from tests.localstack.server import environment, running_localstack


def test_localstack_that_runs_is_used_when_an_endpoint_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DocumentServer() as other:
        other.serve("/_localstack/health", b"{}")
        monkeypatch.setenv("LOCALSTACK_ENDPOINT", f"{other.url}/")
        with running_localstack(tmp_path) as localstack:
            assert localstack.url == other.url
            assert str(localstack.client("sqs").meta.endpoint_url) == other.url
        assert httpx.get(f"{other.url}/_localstack/health").is_success  # it is not ours to end
    assert list(tmp_path.iterdir()) == []


def test_endpoint_is_named_when_nobody_answers_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALSTACK_ENDPOINT", address := f"http://127.0.0.1:{free_port()}")
    with pytest.raises(LocalRunError, match=address), running_localstack(tmp_path):
        pass


def test_missing_localstack_is_told_when_none_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCALSTACK_ENDPOINT", raising=False)
    monkeypatch.setattr(server, "_PYTHON", tmp_path / "python")
    with pytest.raises(LocalRunError, match="make test-localstack"), running_localstack(tmp_path):
        pass


def test_started_localstack_keeps_to_its_folder_and_to_loopback(tmp_path: Path) -> None:
    variables = environment(tmp_path, 4567)
    assert {variables[name] for name in ("GATEWAY_LISTEN", "LOCALSTACK_HOST")} == {"127.0.0.1:4567"}
    for name in ("HOME", "TMPDIR", "FILESYSTEM_ROOT"):
        assert Path(variables[name]).is_relative_to(tmp_path)


def test_executor_is_the_one_that_is_chosen(tmp_path: Path) -> None:
    variables = environment(tmp_path, 4567)
    (plugin, _) = variables["PYTHONPATH"].split(":")
    (distribution,) = distributions(path=[plugin])
    (entry_point,) = distribution.entry_points
    assert entry_point.group == "localstack.lambda.runtime_executor"
    assert entry_point.name == variables["LAMBDA_RUNTIME_EXECUTOR"]
    module = Path(server.__file__).parents[2] / f"{entry_point.module.replace('.', '/')}.py"
    assert f"class {entry_point.attr}(" in module.read_text()
