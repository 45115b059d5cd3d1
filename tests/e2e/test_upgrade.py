"""The first release (tag issue-1) runs on the emulator, and is upgraded in place in the middle of a job."""

import subprocess
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.build import BUILT_TEMPLATE, building
from local.deployment import Deployment, upgrade
from local.emulator import Emulator
from tests.e2e.system import PROJECT, System, document, started_system
from tests.integration.engine import wait_until
from tests.ollama_server import OllamaServer

# What the tag issue-1 names: by its hash, since tags are not always fetched.
_FIRST_RELEASE = "f6d4cfc41c151950bc194d28e9c3b1af0fe7e5d0"
_OPERATIONS = 400
_SECONDS_PER_TEXT = 0.5  # until the upgrade is done, which then is in the middle of the job on any machine
_PATIENCE_SECONDS = 240.0


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)


@pytest.fixture
def first_release(tmp_path: Path) -> Path:
    """The files of the first release."""
    archive, folder = tmp_path / "first-release.tar", tmp_path / "first-release"
    packed = _git("archive", "--output", str(archive), _FIRST_RELEASE)
    assert packed.returncode == 0, f"{packed.stderr} (`git fetch --unshallow` brings the history that is wanted here)"
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.mark.timeout(600)  # two builds, two deploys, a job
def test_nothing_is_lost_when_the_first_release_is_upgraded_in_the_middle_of_a_job(
    first_release: Path, tmp_path: Path
) -> None:
    with OllamaServer() as server:
        options = (
            "--embedding-provider=ollama",
            f"--embedding-url={server.url}",
            "--function-variable=EMBEDDING_CALLS_IN_FLIGHT=1",
        )
        with started_system(tmp_path, *options, project=first_release) as system:
            system.create_catalog("harbour")
            system.upload("harbour", "ships", document("ships", 5))
            wait_until(lambda: _job_status(system, "ships") == "succeeded", _PATIENCE_SECONDS, every=0.1)
            before = _searched(system, "ships number 3", "ships")
            server.seconds_per_text = _SECONDS_PER_TEXT
            job_id = system.upload("harbour", "quays", document("quays", _OPERATIONS))["job"]["id"]
            wait_until(lambda: _progress(system, job_id) > 0, _PATIENCE_SECONDS, every=0.1)

            deployment = _upgrade(system, tmp_path, server.url)
            system.http.base_url = deployment.url
            assert 0 < _progress(system, job_id) < _OPERATIONS  # in the middle of it
            server.seconds_per_text = 0.0
            assert system.http.get("/api/v1/admin/audit").is_success  # the current release answers
            assert _searched(system, "ships number 3", "ships") == before

            wait_until(lambda: _job_status(system, "quays") == "succeeded", _PATIENCE_SECONDS, every=0.1)
            assert len(_searched(system, "quays number 41", "quays")) == 10
            job = system.call("GET", f"/embedding-jobs/{job_id}")
        texts = server.texts

    assert job["operation_count"] == _OPERATIONS
    assert job["attempts"] <= 2  # the worker of before may have been ended in the middle of its slice
    assert len({text for text in texts if text.startswith("Read quays")}) == _OPERATIONS
    assert len([text for text in texts if text.startswith("Read ships")]) == 5  # nothing of before is embedded again


def _upgrade(system: System, folder: Path, embedding_url: str) -> Deployment:
    address = system.endpoint["aws_endpoint_url"]
    emulator = Emulator(urlsplit(address).port or 0, folder)  # not started: it runs already
    with building(print) as wait_for_build:
        wait_for_build()
        return upgrade(emulator, BUILT_TEMPLATE, {"EMBEDDING_PROVIDER": "ollama", "EMBEDDING_URL": embedding_url})


def _searched(system: System, query: str, spec_name: str) -> list[str]:
    answer = system.call("GET", "/search", params={"q": query, "spec": spec_name, "ranking": "semantic"})
    return [operation["path"] for operation in answer["operations"]]


def _job_status(system: System, spec_name: str) -> object:
    (status,) = [status for status in system.statuses("harbour") if status["spec_name"] == spec_name]
    return status["job_status"]


def _progress(system: System, job_id: int) -> int:
    return int(system.call("GET", f"/embedding-jobs/{job_id}")["embedded_so_far"] or 0)
