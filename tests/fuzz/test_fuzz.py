import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.build import PROJECT
from tests.fuzz import campaign as campaigns
from tests.fuzz.campaign import Campaign
from tests.fuzz.contract import check_contract
from tests.fuzz.mutations import Mutator
from tests.fuzz.samples import all_samples
from tests.gateway import Gateway

SAMPLES = all_samples()


def answering(status: int, body: str, **more: Any) -> Gateway:
    return Gateway(lambda event, context: {"statusCode": status, "body": body, "isBase64Encoded": False, **more})


def broken(event: dict[str, Any], context: object) -> dict[str, Any]:
    raise KeyError("nothing")


def play(gateway: Gateway, keep: Path, seed: int = 1) -> list[str]:
    return Campaign(gateway, SAMPLES, seed, keep).play(range(1)).findings


@pytest.mark.timeout(900)
def test_the_api_keeps_its_word_whatever_it_is_sent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seed", "2026", "--cases", "1200", "--examples", "8"]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT / 'layers/core'}:{PROJECT}"}
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-10_000:]
    assert "1200 cases" in done.stdout


def test_a_case_is_always_the_same_request() -> None:
    forth, back = (Campaign(answering(200, "{}"), SAMPLES, 7, Path()) for _ in range(2))
    requests = [forth.request(number)[0] for number in range(40)]
    assert requests == [back.request(number)[0] for number in reversed(range(40))][::-1]
    assert len({request.body for request in requests}) > 20


def test_another_seed_makes_other_requests() -> None:
    one, two = (Campaign(answering(200, "{}"), SAMPLES, seed, Path()) for seed in (1, 2))
    assert [one.request(number)[0] for number in range(10)] != [two.request(number)[0] for number in range(10)]


def test_every_way_of_sending_is_tried() -> None:
    campaign = Campaign(answering(200, "{}"), SAMPLES, 1, Path())
    kinds = {campaign.request(number)[0].kind for number in range(200)}
    assert kinds == {"plain", "gzip", "form", "zip", "inline", "url"}


def test_mutations_of_a_document_are_many_and_some_leave_it_readable() -> None:
    campaign, mutator = Campaign(answering(200, "{}"), SAMPLES, 1, Path()), Mutator(SAMPLES)
    sample = next(sample for sample in SAMPLES if sample.name == "weather.json")
    made = [mutator.mutate(sample, campaign.request(number)[1]) for number in range(100)]
    assert len(set(made)) > 80
    assert sum(1 for raw in made if is_json(raw)) > 20


def is_json(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("gateway", "problem"),
    [
        (answering(500, '{"error": {"code": "internal_error", "message": "x", "details": {}}}'), "status 500"),
        (answering(503, "{}"), "status 503"),
        (answering(404, "Not Found"), "another shape"),
        (answering(404, '{"message": "Not Found"}'), "another shape"),
        (answering(422, '{"error": {"code": "x", "message": "", "details": {}}}'), "another shape"),
        (answering(204, "text"), "204 with a body"),
        (answering(200, "x" * 7_000_000), "The answer has"),
        (Gateway(broken), "KeyError"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_a_finding_and_its_input_is_kept(
    gateway: Gateway, problem: str, tmp_path: Path
) -> None:
    findings = play(gateway, tmp_path)
    assert len(findings) >= 3  # the catalog is deleted and created before the case
    assert problem in findings[-1]
    assert "--seed 1 --case 0" in findings[-1]
    kept = [json.loads(path.read_text()) for path in sorted(tmp_path.iterdir())]
    assert {entry["case"] for entry in kept} == {-1, 0}
    assert all(problem in entry["problem"] for entry in kept)


def test_an_answer_of_the_contract_is_no_finding(tmp_path: Path) -> None:
    assert play(answering(422, '{"error": {"code": "x", "message": "Mend it.", "details": {}}}'), tmp_path) == []
    assert play(answering(204, ""), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "limit", "problem"), [("MAX_SECONDS", 0.0, "the answer took"), ("MAX_MEGABYTES", 1, "the process grew")]
)
def test_a_case_that_takes_too_much_is_a_finding(
    name: str, limit: float, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, name, limit)
    assert problem in play(answering(204, ""), tmp_path)[0]


def test_a_campaign_ends_when_its_time_is_up(tmp_path: Path) -> None:
    campaign = Campaign(answering(204, ""), SAMPLES, 1, tmp_path)
    assert campaign.play(itertools.count(), until=0.0).cases == 0


def test_a_service_that_does_not_do_as_it_says_is_found_out() -> None:
    described = {
        "openapi": "3.1.0",
        "info": {"title": "Liar", "version": "1"},
        "paths": {"/a": {"get": {"operationId": "a", "responses": {"200": {"description": "Said."}}}}},
    }

    def lie(event: dict[str, Any], _: object) -> dict[str, Any]:
        if event["path"] == "/openapi.json":
            return {"statusCode": 200, "body": json.dumps(described)}
        return {"statusCode": 202, "body": "{}"}

    report = check_contract(Gateway(lie, key="k"), 1, examples=1)
    assert report.operations == {"GET /a"}
    assert any("status_code_conformance GET /a" in finding for finding in report.findings.values())
