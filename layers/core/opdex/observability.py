"""What all functions share to be seen from outside: logger, metrics, and the id that joins what belongs together."""

import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import Lock
from traceback import StackSummary, walk_tb
from typing import Any, Final, Literal, cast, get_args

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from opdex.errors import OpdexError

type Count = Literal[
    "JobsSucceeded", "JobsFailed", "JobsParked", "JobsCancelled", "OpenJobs",
    "AttemptsFailed", "SlicesYielded", "SlicesHeldUp", "SlicesPerJob", "LeasesLost", "LeasesExpired",
    "TextsEmbedded", "TextsReused", "TextsWasted", "TokensUsed", "TokensEstimated",
    "ProviderThrottles", "ProviderFailures", "WakeUpsFailed",
    "SpecsRefreshed", "RefreshesFailed", "SweptUnparked", "SweptGaps", "SweptWoken",
    "SweptForgottenJobs", "SweptForgottenRevisions", "SweptForgottenOperations", "SweptForgottenVectors",
    "SegmentsRebuilt", "SegmentsFailed", "DocumentsReread", "RereadsFailed", "IndexesMade", "IndexesFailed",
]  # fmt: skip
type Duration = Literal["ProviderSeconds", "BilledSeconds", "OldestReadyJobAge"]
type Latency = Literal[
    "ChunkLatency", "ProviderLatency",
    "SearchLatency", "SemanticSearchLatency", "LexicalSearchLatency", "QueryEmbeddingLatency",
]  # fmt: skip
type Metric = Count | Duration | Latency
type Handler = Callable[[dict[str, Any], Any], Any]

SERVICE: Final = "opdex"
# The template gives each stack a namespace of its own.
_NAMESPACE: Final = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Opdex")
_UNITS: Final[dict[str, str]] = {
    **dict.fromkeys(get_args(Count.__value__), "Count"),
    **dict.fromkeys(get_args(Duration.__value__), "Seconds"),
    **dict.fromkeys(get_args(Latency.__value__), "Milliseconds"),
}
# What a client may call its own request: long enough to mean one, and nothing that a log or a header could trip over.
_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_MOST_CAUSES: Final = 5
_LOADED_AT: Final = time.monotonic()

logger = Logger(service=SERVICE)
# Powertools prefers Lambda's own level, which is INFO where less is to be kept (template.yaml).
logging.getLogger(SERVICE).setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))
metrics = Metrics(namespace=_NAMESPACE, service=SERVICE)
_adding = Lock()
# An invocation can last for as long as an alarm that waits for progress.
_GO_OUT_SECONDS: Final = 60.0
_goes_out_at = math.inf  # outside of invocations


def sane_id(sent: object) -> str | None:
    """Return an id from outside where it may stand in logs, headers and messages; None otherwise."""
    return sent if isinstance(sent, str) and _SANE.fullmatch(sent) else None


def correlation_id() -> str | None:
    """Return the id of what is being worked on: a request's, a job's or a sweep's; None outside of all."""
    return logger.get_correlation_id()


@contextmanager
def log_context(**keys: object) -> Iterator[None]:
    """Add these keys to each line of the block, whatever thread writes it; what they hide comes back after it."""
    current = logger.get_current_keys()
    before = {name: current[name] for name in keys if name in current}
    logger.append_keys(**keys)
    try:
        yield
    finally:
        logger.remove_keys(keys.keys() - before.keys())
        logger.append_keys(**before)


def described(error: BaseException) -> list[dict[str, object]]:
    """Return what a line may say of an error and its causes: types and places. Its words may quote a document."""
    chain: list[dict[str, object]] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < _MOST_CAUSES:
        frames = StackSummary.extract(walk_tb(cause.__traceback__), lookup_lines=False)
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        chain.append({"type": type(cause).__qualname__, "sqlstate": getattr(cause, "sqlstate", None), "at": places})
        cause = cause.__cause__ or cause.__context__
    return chain


def measure(name: Metric, value: float = 1) -> None:
    """Add a value to a metric; all go out together once a minute, and when the invocation ends."""
    global _goes_out_at
    with _adding:  # powertools writes a full set out by itself, which no other thread may add to meanwhile
        metrics.add_metric(name, _UNITS[name], value)
        if time.monotonic() >= _goes_out_at:
            metrics.flush_metrics()
            _goes_out_at = time.monotonic() + _GO_OUT_SECONDS


def measure_request(route: str, status: int, seconds: float) -> None:
    """Write what one API request adds to Requests and RequestLatency, in all and by its route's and status's class."""
    request = _apart()
    request.add_dimensions(service=SERVICE, route=route, status=f"{status // 100}xx")
    request.add_metric("Requests", "Count", 1)
    request.add_metric("RequestLatency", "Milliseconds", round(seconds * 1000, 3))
    request.flush_metrics()


def observed(handler: Handler) -> Handler:
    """Wrap a function's handler: lines name the invocation, a cold start is counted, metrics go out.

    What it raises is written down here, and raised without its causes: the runtime would write out all their words.
    """
    is_cold = True

    @wraps(handler)
    def told(event: dict[str, Any], context: Any) -> Any:
        global _goes_out_at
        nonlocal is_cold
        _goes_out_at = time.monotonic() + _GO_OUT_SECONDS
        try:
            return handler(event, context)
        except Exception as error:  # noqa: BLE001 - raised again
            logger.error("invocation failed", errors=described(error))  # noqa: TRY400 - not its words
            raise (error if isinstance(error, OpdexError) else OpdexError()) from None
        finally:
            if is_cold:
                is_cold = False
                _measure_cold_start(context.function_name)
            _goes_out_at = math.inf
            if metrics.metric_set:
                metrics.flush_metrics()
            logger.structure_logs()  # its keys end with the invocation

    return cast(Handler, logger.inject_lambda_context(told))


def billed(handler: Handler) -> Handler:
    """Wrap a handler that is :func:`observed`: what is paid for is measured, a cold start's imports included."""
    importing = time.monotonic() - _LOADED_AT

    @wraps(handler)
    def timed(event: dict[str, Any], context: Any) -> Any:
        nonlocal importing
        began = time.monotonic()
        try:
            return handler(event, context)
        finally:
            measure("BilledSeconds", importing + time.monotonic() - began)
            importing = 0.0

    return timed


def _measure_cold_start(function_name: str) -> None:
    start = _apart()
    start.add_dimension("function_name", function_name)
    start.add_metric("ColdStart", "Count", 1)
    start.flush_metrics()


def _apart() -> AmazonCloudWatchEMFProvider:
    """Return a set of metrics whose dimensions are not those of all others."""
    apart = AmazonCloudWatchEMFProvider(namespace=_NAMESPACE, service=SERVICE)
    apart.add_dimension("service", SERVICE)
    return apart
