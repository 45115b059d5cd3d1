"""How much of the paid time of embed invocations a slow provider is at work, by the metrics that they emit."""

import json
from pathlib import Path

from tests.benchmarks.conftest import StartFunction
from tests.benchmarks.figures import Record
from tests.benchmarks.provider import Provider
from tests.benchmarks.uploads import Uploads
from tests.e2e.system import document

_TEXTS, _SECONDS_A_TEXT = 60, 0.37  # a tenth of what the model took that it all began with


def _emitted(log: Path, metric: str) -> list[float]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"_aws"' in line]
    return [value for line in lines for value in line.get(metric, ())]


def test_billed_time(uploads: Uploads, start_function: StartFunction, record: Record, tmp_path: Path) -> None:
    log = tmp_path / "embed.log"
    with Provider(seconds_per_text=_SECONDS_A_TEXT, calls_at_once=1) as provider:
        function = start_function(provider, log)
        for name in ("cold", "warm"):
            function.index(uploads, uploads.store(name, document(name, _TEXTS)))
    busy, billed = _emitted(log, "ProviderSeconds"), _emitted(log, "BilledSeconds")
    assert len(busy) == len(billed) == 2
    record(
        "share of billed embed time in a provider of 0.37 s a text, a cold start included",
        100 * sum(busy) / sum(billed),
        "%",
        at_least=95,
        provider_seconds=[round(seconds, 2) for seconds in busy],
        billed_seconds=[round(seconds, 2) for seconds in billed],
    )
