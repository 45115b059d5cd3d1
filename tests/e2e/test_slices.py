"""Invocations that are too short for their jobs, on a deployed stack: each goes on where the one before had to stop."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.e2e.system import Start, System, document
from tests.integration.engine import wait_until
from tests.ollama_server import OllamaServer
from tests.worker_process import freeze_waiting_worker

pytestmark = pytest.mark.localstack

_PATIENCE_SECONDS = 90.0  # within which work goes on after any fault
_TIMEOUT_SECONDS = 4


@pytest.fixture(scope="module")
def provider() -> Iterator[OllamaServer]:
    with OllamaServer(calls_at_once=1) as server:
        yield server


@pytest.fixture(scope="module")
def system(start: Start, provider: OllamaServer) -> Iterator[System]:
    parameters = {
        "EMBEDDING_PROVIDER": "ollama",
        "EMBEDDING_URL": provider.url,
        "EMBED_TIMEOUT_SECONDS": str(_TIMEOUT_SECONDS),
    }
    with start("slices", parameters, {}) as system:
        system.create_catalog("slices")
        yield system


def _has_succeeded(system: System, job_id: int) -> bool:
    job = system.call("GET", f"/embedding-jobs/{job_id}")
    assert job["status"] != "failed", job
    return bool(job["status"] == "succeeded")


def test_job_goes_over_many_slices_when_the_provider_is_slow(system: System, provider: OllamaServer) -> None:
    provider.seconds_per_text = 0.2
    job_id = system.upload("slices", "slow", document("slow", 40))["job"]["id"]
    wait_until(lambda: _has_succeeded(system, job_id), _PATIENCE_SECONDS, every=0.1)
    job = system.call("GET", f"/embedding-jobs/{job_id}")
    assert job["slices"] > 2
    assert job["attempts"] == 1
    texts = [text for text in provider.texts if text.startswith("Read slow")]
    assert len(set(texts)) == 40
    # A call that a slice's end cuts off is sent again, four texts at most; what was written is not.
    assert len(texts) <= 40 + 4 * job["slices"] < 2 * 40


def test_job_is_resumed_when_an_invocation_is_ended_at_its_timeout(system: System, provider: OllamaServer) -> None:
    provider.seconds_per_text = 0.0
    with psycopg.connect(system.endpoint["database_url"]) as connection:
        connection.execute("LOCK TABLE vectors IN EXCLUSIVE MODE")  # the chunk cannot be written
        job_id = system.upload("slices", "ended", document("ended", 3))["job"]["id"]
        # The next invocation may be faster than this look at the lease's end.
        is_lost = "SELECT attempts > 1 OR (status = 'running' AND lease_expires_at < now()) FROM jobs WHERE id = %s"
        with psycopg.connect(system.endpoint["database_url"], autocommit=True) as other:
            freeze_waiting_worker(other, _PATIENCE_SECONDS)
            wait_until(lambda: other.execute(is_lost, [job_id]).fetchone() == (True,), _PATIENCE_SECONDS, every=0.05)
        connection.rollback()
    wait_until(lambda: _has_succeeded(system, job_id), _PATIENCE_SECONDS, every=0.1)
    job = system.call("GET", f"/embedding-jobs/{job_id}")
    assert (job["attempts"], job["slices"]) == (2, 2)  # a killed invocation is an attempt
