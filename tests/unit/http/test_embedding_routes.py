from typing import Any

import pytest

from opdex.embedding.registry import RegisteredModel
from opdex.errors import ProviderRefused, ProviderTimeout
from opdex.http.context import ApiContext
from opdex.http.routing import BASE_PATH
from opdex.jobs.models import EmbeddingStatus, Enqueued
from opdex.settings import ApiSettings
from tests.gateway import Gateway, whole_service
from tests.unit.http.fakes import FakeEmbedder, FakeWakeUps

CRM = f"{BASE_PATH}/api-catalogs/crm"


def status(name: str, **fields: Any) -> EmbeddingStatus:
    return EmbeddingStatus(spec_name=name, operation_count=47, embedding_count=0, revision=1, **fields)


def answering(monkeypatch: pytest.MonkeyPatch, name: str, answer: Any) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def fake(connection: object, *arguments: Any) -> Any:
        calls.append(arguments)
        return answer

    monkeypatch.setattr(name, fake)
    return calls


def test_status_has_only_what_is_known_and_a_progress_of_zero_is(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [status("never"), status("running", embedded_so_far=0, job_id=31, job_status="running", job_last_error="")]
    answering(monkeypatch, "opdex.jobs.queries.embedding_status", found)
    answer = gateway.call("GET", f"{CRM}/embedding-status").json
    assert answer == {
        "specs": [
            {"spec_name": "never", "operation_count": 47, "embedding_count": 0, "revision": 1},
            {
                "spec_name": "running",
                "operation_count": 47,
                "embedding_count": 0,
                "embedded_so_far": 0,
                "job_id": 31,
                "job_status": "running",
                "job_last_error": "",
                "revision": 1,
            },
        ]
    }


def test_status_pages_go_on_where_the_one_before_ended(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answering(monkeypatch, "opdex.jobs.queries.embedding_status", [status("a"), status("b-1"), status("c")])
    first = gateway.call("GET", f"{CRM}/embedding-status?limit=2").json
    assert [spec["spec_name"] for spec in first["specs"]] == ["a", "b-1"]
    gateway.call("GET", f"{CRM}/embedding-status?limit=2&spec=c&cursor={first['next']}")
    assert calls == [("crm", None, 3, None), ("crm", "c", 3, "b-1")]


def test_job_list_passes_its_filters_on(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answering(monkeypatch, "opdex.jobs.queries.list_jobs", [])
    answer = gateway.call("GET", f"{CRM}/embedding-jobs?status=failed&spec_name=users&limit=5")
    assert answer.json == {"jobs": []}
    assert calls == [("crm", "failed", "users", 6, None)]
    assert gateway.call("GET", f"{CRM}/embedding-jobs?status=lost").status == 400


def test_cancel_answers_202(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answering(monkeypatch, "opdex.jobs.enqueue.cancel", None)
    answer = gateway.call("POST", f"{BASE_PATH}/embedding-jobs/31/cancel")
    assert (answer.status, answer.json) == (202, {"job_id": 31, "status": "cancelled"})
    assert calls == [(31,)]


@pytest.mark.parametrize(
    ("name", "path", "answer"),
    [
        ("retry", "/embedding-jobs/30/retry", {"job_id": 31, "created": True}),
        ("reembed", "/api-catalogs/crm/specs/users/reembed", {"job_id": 31, "created": True, "status": "queued"}),
    ],
)
def test_one_spec_is_embedded_again_and_a_worker_woken(
    gateway: Gateway, wake_ups: FakeWakeUps, monkeypatch: pytest.MonkeyPatch, name: str, path: str, answer: Any
) -> None:
    answering(monkeypatch, f"opdex.jobs.enqueue.{name}", Enqueued(job_id=31, created=True))
    got = gateway.call("POST", BASE_PATH + path)
    assert (got.status, got.json, wake_ups.sent) == (202, answer, [31, 31])


@pytest.mark.parametrize(
    ("name", "path"), [("reembed_catalog", "/reembed"), ("retry_failed", "/embedding-jobs/retry-failed")]
)
def test_many_specs_are_embedded_again_and_a_worker_woken_for_each(
    gateway: Gateway, wake_ups: FakeWakeUps, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    monkeypatch.setattr("opdex.catalog.store.get_catalog", lambda connection, catalog_id: None)
    monkeypatch.setattr("opdex.http.embedding.get_catalog", lambda connection, catalog_id: None)
    jobs = [Enqueued(job_id=31, created=True), Enqueued(job_id=7, created=False)]
    answering(monkeypatch, f"opdex.jobs.enqueue.{name}", jobs)
    got = gateway.call("POST", CRM + path)
    assert (got.status, wake_ups.sent) == (202, [31, 7, 31])
    assert got.json["jobs"] == [{"job_id": 31, "created": True}, {"job_id": 7, "created": False}]
    answering(monkeypatch, f"opdex.jobs.enqueue.{name}", [])
    assert gateway.call("POST", CRM + path).json["jobs"] == []


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, "ok"), (ProviderTimeout(), "unreachable"), (ProviderRefused(), "unconfigured")],
)
def test_provider_status_tells_whether_it_can_be_reached(
    gateway: Gateway, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch, error: Any, shown: str
) -> None:
    answering(monkeypatch, "opdex.http.provider.find_model", RegisteredModel(1, 768))
    embedder.error = error
    answer = gateway.call("GET", f"{BASE_PATH}/embedding/status")
    assert answer.json == {
        "kind": "ollama",
        "model": "nomic-embed-text",
        "dimension": 768,
        "status": shown,
        "workers": 3,
        "paused": False,
    }


def test_provider_status_says_paused_when_there_are_no_workers(
    gateway: Gateway, database: Any, wake_ups: FakeWakeUps, embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "opdex.http.provider.find_model", None)
    settings = ApiSettings(embed_queue_url="https://queue.test", workers=0)
    gateway.handler = whole_service(ApiContext(settings, database, wake_ups, lambda: embedder))
    answer = gateway.call("GET", f"{BASE_PATH}/embedding/status")
    assert (answer.json["workers"], answer.json["paused"]) == (0, True)


def test_provider_status_has_no_dimension_before_the_first_vector(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "opdex.http.provider.find_model", None)
    assert gateway.call("GET", f"{BASE_PATH}/embedding/status").json["dimension"] is None
