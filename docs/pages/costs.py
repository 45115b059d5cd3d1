"""docs/costs.md: what an idle month, a million operations and a million requests cost on AWS, from measured figures."""

from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from string import Template
from typing import Final

from docs.pages import prices
from docs.pages.consumption import SHARE, UPLOAD, UPLOADED_OPERATIONS, Measured, Stack
from docs.pages.prices import GB, HOURS, MILLION
from docs.pages.tables import DASH, table
from local.build import TEMPLATE
from local.template import read_template

type Bill = Mapping[str, float]

_TEXT: Final = Path(__file__).with_name("costs.template.md")
_SECONDS_A_TEXT: Final = (0.05, 0.5, 3.0)
_DIMENSIONS: Final = (384, 768, 1536)
_CHUNK_SECONDS: Final = 5  # what a call aims at
_REQUESTS_A_MESSAGE: Final = 3  # receiving, hiding and deleting it, beside sending it
_OPERATION_BYTES: Final = "an operation: with its document, its job and all indexes"
_MODEL_TOKEN: Final = 0.02 / MILLION
_ANY_SECRET: Final = "arn:aws:secretsmanager:::secret:any-a1B2c3"  # noqa: S105 - none in particular


def page() -> str:
    """Return the page."""
    measured, template = Measured(), read_template(TEMPLATE)
    given = Stack(template, DatabaseSecretArn=_ANY_SECRET)
    own = Stack(template, CreateDatabase="true")
    nat = Stack(template, CreateDatabase="true", Internet="nat")
    walled = Stack(template, CreateDatabase="true", Waf="true", BedrockEndpoint="true")
    outside = Stack(template, DatabaseSecretArn=_ANY_SECRET, EmbeddingProvider="ollama", EmbeddingUrl="https://any")
    months = {"a database of yours": given, "`CreateDatabase=true`": own, "… with `Internet=nat`": nat}
    inside = measured["an operation embedded inside: billed time"] / 1000
    provided = {f"{seconds:g} s a text": seconds / (measured[SHARE] / 100) for seconds in _SECONDS_A_TEXT}
    million = {
        "minilm, inside": _million_operations(measured, own, inside),
        **{name: _million_operations(measured, outside, seconds) for name, seconds in provided.items()},
    }
    days = {"minilm, inside": inside, **provided}
    return Template(_TEXT.read_text("utf-8")).substitute(
        region=prices.REGION,
        as_of=prices.AS_OF,
        runs="\n".join(f"- {run}" for run in measured.runs()),
        given_minutes=given.sweep_minutes(),
        own_minutes=own.sweep_minutes(),
        awake_hours=f"{_awake_hours(own, measured):.0f}",
        acus=prices.LEAST_ACUS,
        sweep_metrics=f"{measured['an idle sweep: metrics']:.0f}",
        idle=_bills("USD a month", {name: dict(_idle_month(stack, measured)) for name, stack in months.items()}),
        beside=table(("", "USD"), _beside(own, walled)),
        uploaded=f"{UPLOADED_OPERATIONS:,}",
        share=f"{measured[SHARE]:.1f}",
        gb_second=f"{prices.LAMBDA_GB_SECOND:.10f}",
        write_bytes=f"{prices.DATABASE_WRITE_BYTES:,}",
        operations=_bills(
            "USD", million, ("days, with one worker", *(f"{MILLION * each / 86_400:.1f}" for each in days.values()))
        ),
        tokens=f"{measured['an operation: its text']:.0f}",
        model=_usd(MILLION * measured["an operation: its text"] * _MODEL_TOKEN),
        operation_bytes=f"{measured[_OPERATION_BYTES]:,.0f}",
        stored=_stored(measured),
        requests=_bills(
            "USD a million",
            {
                "search requests": _million_requests(measured, own.memory_gb("SearchFunction"), "search"),
                "status requests": _million_requests(measured, own.memory_gb("ApiFunction"), "status"),
            },
        ),
    )


def _usd(amount: float | None) -> str:
    return DASH if amount is None else f"{amount:,.2f}"


def _bills(title: str, bills: Mapping[str, Bill], *before: tuple[str, ...]) -> str:
    """Return a table of bills side by side, with what each comes to; one that lacks a line has a dash there."""
    lines = dict.fromkeys(line for bill in bills.values() for line in bill)
    rows = [(line, *(_usd(bill.get(line)) for bill in bills.values())) for line in lines]
    together = ("**together**", *(f"**{_usd(sum(bill.values()))}**" for bill in bills.values()))
    return table((title, *bills), (*before, *rows, together))


def _idle_month(stack: Stack, measured: Measured) -> Iterator[tuple[str, float]]:
    sweeps, seconds = _sweeps(stack), measured["an idle sweep, cold: billed time"] / 1000
    lambda_seconds = seconds * stack.memory_gb("SweepFunction") * prices.LAMBDA_GB_SECOND
    logged = measured["an idle sweep: log"] / GB * prices.LOG_GB
    polls = prices.POLLS_AT_ONCE * HOURS * 3600 / prices.POLL_SECONDS
    yield "sweeps: Lambda, schedule", sweeps * (prices.LAMBDA_REQUEST + prices.SCHEDULED_INVOCATION + lambda_seconds)
    yield "sweeps: logs, traces, two secrets read", sweeps * (logged + prices.TRACE + 2 * prices.SECRET_READ)
    yield "sweeps: metrics", measured["an idle sweep: metrics"] * prices.METRIC_MONTH
    yield "Lambda's polls of the empty queue; none with `Workers=0`", polls * prices.SQS_REQUEST
    yield "alarms", stack.alarm_metrics() * prices.ALARM_METRIC_MONTH
    yield "dashboard; the first three of an account are free", prices.DASHBOARD_MONTH
    yield "secrets", stack.secrets() * prices.SECRET_MONTH
    if stack.has("Database"):
        yield "the database, awake", _awake_hours(stack, measured) * prices.LEAST_ACUS * prices.ACU_HOUR
    if zones := stack.endpoint_zones():
        yield "endpoints", zones * HOURS * prices.ENDPOINT_ZONE_HOUR
    if stack.has("NatGateway"):
        yield "NAT gateway and its address", HOURS * (prices.NAT_HOUR + prices.ADDRESS_HOUR)


def _sweeps(stack: Stack) -> float:
    return HOURS * 60 / stack.sweep_minutes()


def _awake_hours(stack: Stack, measured: Measured) -> float:
    each = measured["an idle sweep, cold: billed time"] / 1000 + stack.awake_seconds()
    return _sweeps(stack) * each / 3600


def _beside(own: Stack, walled: Stack) -> Iterator[tuple[str, str]]:
    firewall = prices.FIREWALL_MONTH + walled.firewall_rules() * prices.FIREWALL_RULE_MONTH
    bedrock = (walled.endpoint_zones() - own.endpoint_zones()) * HOURS * prices.ENDPOINT_ZONE_HOUR
    yield "each GB in the stack's database", _usd(prices.DATABASE_GB_MONTH)
    yield "`DatabaseMinCapacity=0.5`: a database that never pauses", _usd(HOURS * 0.5 * prices.ACU_HOUR)
    yield f"`Waf=true`; and {_usd(prices.FIREWALL_REQUEST * MILLION)} a million requests", _usd(firewall)
    yield "`BedrockEndpoint=true`", _usd(bedrock)
    yield "each GB through a NAT gateway", f"{prices.NAT_GB:.3f}"


def _million_operations(measured: Measured, stack: Stack, seconds: float) -> Bill:
    """Return what a million operations cost that take so many billed seconds each."""
    billed = MILLION * seconds
    slices = ceil(billed / stack.invocation_seconds())
    chunks = min(MILLION, billed / _CHUNK_SECONDS)
    messages = measured["a slice: messages sent"] + _REQUESTS_A_MESSAGE
    uploading = measured[UPLOAD] * stack.memory_gb("ApiFunction") * prices.LAMBDA_GB_SECOND
    written = MILLION * measured["an operation: write-ahead log, its vector's included"]
    return {
        "uploads: gateway, Lambda": MILLION
        / UPLOADED_OPERATIONS
        * (prices.GATEWAY_REQUEST + prices.LAMBDA_REQUEST + uploading),
        "Lambda, embedding": billed * stack.memory_gb("EmbedFunction") * prices.LAMBDA_GB_SECOND,
        "its invocations, messages and traces": slices
        * (prices.LAMBDA_REQUEST + prices.TRACE + messages * prices.SQS_REQUEST),
        "its logs": chunks * measured["a chunk: log"] / GB * prices.LOG_GB,
        "its metrics": measured["a slice: metrics"] * prices.METRIC_MONTH * ceil(billed / 3600) / HOURS,
        "the database, awake": billed / 3600 * prices.LEAST_ACUS * prices.ACU_HOUR,
        "the database, writes": written / prices.DATABASE_WRITE_BYTES * prices.DATABASE_WRITE,
    }


def _stored(measured: Measured) -> str:
    rows = []
    for dimension in _DIMENSIONS:
        vector = measured[f"a vector of {dimension} dimensions, with its indexes"]
        gigabytes = MILLION * (measured[_OPERATION_BYTES] + vector) / GB
        month = gigabytes * prices.DATABASE_GB_MONTH
        rows.append((f"{dimension:,}", f"{vector:,.0f}", f"{gigabytes:.1f}", _usd(month)))
    return table(("dimensions", "bytes a vector", "GB for a million operations", "USD a month in Aurora"), rows)


def _million_requests(measured: Measured, memory_gb: float, kind: str) -> Bill:
    seconds = measured[f"a {kind} request: billed time"] / 1000
    working = seconds * memory_gb * prices.LAMBDA_GB_SECOND
    return {
        "API Gateway": MILLION * prices.GATEWAY_REQUEST,
        "Lambda": MILLION * (prices.LAMBDA_REQUEST + working),
        "logs": MILLION * measured[f"a {kind} request: log"] / GB * prices.LOG_GB,
        "traces, of one in twenty": MILLION * prices.TRACED_SHARE * prices.TRACE,
        "answers, to the internet": MILLION * measured[f"a {kind} request: answer"] / GB * prices.TRANSFER_GB,
        "metrics, for a month": measured[f"a {kind} request: metrics"] * prices.METRIC_MONTH,
    }
