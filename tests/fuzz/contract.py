"""The service held to its own description by schemathesis: every operation, with all of its checks."""

import itertools
import time
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from opdex.http.routing import BASE_PATH
from tests.gateway import Gateway, Handler, serving

_EXAMPLES_A_ROUND: Final = 25
_ACCEPTED: Final = ("2xx", "401", "403", "404", "409", "429")
# What may be answered to a request that the description allows, beyond what schemathesis expects, and why.
_NO_SCHEMA_CAN_SAY: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "put_spec": (("400", "422", "5xx"), "whether a text is an OpenAPI document, and whether a URL leads to one"),
    "upload_spec": (("400", "413", "415", "422"), "whether the octets are an OpenAPI document, a form or an archive"),
    "refresh_spec": (("400", "422", "5xx"), "whether a spec has a URL, and what is found there"),
    "schedule_refresh": (("400",), "whether a spec has a URL"),
    "update_catalog": (("400",), "whether an id that is sent along is the catalog's own"),
    "create_key": (("400",), "whether a moment lies in the future"),
}
_WITH_CURSOR: Final = (("400",), "which cursors have been given")
# A 5xx of these is the contract's: another's server, or the way to it, is away (502, 503).
_FETCHING: Final = ("put_spec", "refresh_spec")
# A text in place of a list of texts is forbidden by the schema, and in a query they are written alike.
_LISTS_IN_QUERY: Final = ("search_operations",)
_REFUSED: Final = ("400", "401", "403", "404", "405", "409", "415", "422", "429")


@dataclass
class ContractReport:
    """What was asked. ``findings`` are a line each, none where the service keeps its word."""

    requests: int = 0
    operations: set[str] = field(default_factory=set)
    findings: dict[str, str] = field(default_factory=dict)


def check_contract(
    gateway: Gateway, seed: int, *, examples: int | None = None, seconds: float = float("inf")
) -> ContractReport:
    """Send what the description allows and what it forbids: ``examples`` of each operation, or while there is time."""
    report = ContractReport()
    until = time.monotonic() + seconds
    with serving(_sparing_its_keys(gateway)) as address:
        rounds = itertools.count() if examples is None else range(1)
        for number in rounds:
            if not _play(address, gateway, seed + number, examples or _EXAMPLES_A_ROUND, until, report):
                break
    return report


def _sparing_its_keys(gateway: Gateway) -> Handler:
    """Return the handler, for which the keys that exist now cannot be deleted: without one every answer is 401."""
    listed = gateway.call("GET", f"{BASE_PATH}/keys")
    spared = [key["id"] for key in listed.json["keys"]] if listed.status == 200 else []

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        folder, _, name = event["path"].rpartition("/")
        if event["httpMethod"] == "DELETE" and name in spared:
            event = {**event, "path": f"{folder}/none", "pathParameters": {"proxy": f"{folder[1:]}/none"}}
        return gateway.handler(event, context)

    return handle


def _play(address: str, gateway: Gateway, seed: int, examples: int, until: float, report: ContractReport) -> bool:
    """Play one round; False where the time was up."""
    described = gateway.call("GET", "/openapi.json").json
    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "base-url": address,
            "headers": {"X-API-Key": gateway.key},
            "continue-on-failure": True,
            # No text may hold NUL, which is sent elsewhere; a pattern at each text would say it and help no reader.
            "generation": {"max-examples": examples, "database": "none", "allow-x00": False},
            "operations": list(_expectations(described)),
        }
    )
    stream = from_schema(schemathesis.openapi.from_dict(described, config=config)).execute()
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            _take(event.recorder, seed, report)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            report.findings[str(event)] = f"schemathesis cannot go on: {event}"
        if time.monotonic() > until:
            stream.stop()
            return False
    if gateway.call("GET", f"{BASE_PATH}/keys").status == 401:
        report.findings["401"] = f"seed {seed} the key was lost on the way: what was answered since means nothing"
    for operation in sorted(_labels(described) - report.operations):
        report.findings[operation] = f"seed {seed} {operation} was not asked for anything"
    return True


def _labels(described: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, item in described["paths"].items() for method in item}


def _expectations(described: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for operation in (operation for item in described["paths"].values() for operation in item.values()):
        name = operation["operationId"]
        beyond, _ = _NO_SCHEMA_CAN_SAY.get(name, ((), ""))
        if any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ())):
            beyond += _WITH_CURSOR[0]
        checks = {"positive_data_acceptance": {"expected-statuses": [*_ACCEPTED, *beyond]}}
        if name in _FETCHING:
            checks["not_a_server_error"] = {"expected-statuses": ["2xx", "3xx", "4xx", "502", "503"]}
        if name in _LISTS_IN_QUERY:
            checks["negative_data_rejection"] = {"expected-statuses": ["2xx", *_REFUSED]}
        found.append({"include-operation-id": name, "checks": checks})
    return found


def _take(recorder: ScenarioRecorder, seed: int, report: ContractReport) -> None:
    report.requests += len(recorder.interactions)
    report.operations |= {node.value.operation.label for node in recorder.cases.values()}
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.status is Status.FAILURE and check.failure_info is not None:
                case = recorder.cases[case_id].value
                failure = check.failure_info.failure
                interaction = recorder.interactions.get(case_id)
                answer = interaction.response if interaction is not None else None
                said = f"{answer.status_code} {answer.content[:300]!r}" if answer is not None else "no answer"
                # One of a kind is enough to find the rest.
                report.findings.setdefault(
                    f"{check.name} {case.method} {case.path} {failure.title}",
                    f"seed {seed} {check.name} {case.method} {case.path}: {failure.title}. {failure.message[:500]}\n"
                    f"    {check.failure_info.code_sample[:2000]}\n    {said}",
                )
