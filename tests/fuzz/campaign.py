"""A fuzz campaign: case by case a request that nobody should send, and what the contract says of every answer."""

import base64
import json
import random
import resource
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local.build import TEMPLATE
from local.template import read_template
from opdex.http.routing import BASE_PATH
from tests.fuzz.mutations import Mutator
from tests.fuzz.samples import Sample
from tests.fuzz.uploads import CATALOG, Request, make_request
from tests.gateway import Answer, Gateway, RequestRefusedError

_FUNCTION: Final = read_template(TEMPLATE)["Resources"]["ApiFunction"]["Properties"]
MAX_SECONDS: Final = 20.0  # the gateway waits 29, and the function has a whole processor
MAX_MEGABYTES: Final = int(_FUNCTION["MemorySize"])
_SPEC = f"{BASE_PATH}/api-catalogs/{CATALOG}/specs"
_CASES_A_CATALOG: Final = 200
# What is stored is read in all the ways there are.
_READS: Final = (
    "{spec}", "{spec}/content", "{spec}/operations?limit=500", "{specs}?limit=1",
    "{root}/search?q=a&ranking=lexical&limit=500",
    "{catalog}/embedding-status", "{catalog}",
)  # fmt: skip


@dataclass
class Report:
    """What a campaign did. ``findings`` are what it was for: a line each, none where all is well."""

    cases: int = 0
    findings: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    slowest_case: int = 0
    peak_megabytes: int = 0


class Campaign:
    """Plays the cases of a seed against a gateway. A case is a number, and always the same request."""

    def __init__(self, gateway: Gateway, samples: list[Sample], seed: int, keep: Path) -> None:
        self._gateway = gateway
        self._samples = samples
        self._weights = [sample.weight for sample in samples]
        self._mutator = Mutator(samples)
        self._seed = seed
        self._keep = keep
        self.report = Report()

    def play(self, numbers: Iterable[int], until: float = float("inf")) -> Report:
        """Play the cases of these numbers, or as many as there is time for (by the monotonic clock)."""
        self._renew_catalog()
        for number in numbers:
            if time.monotonic() > until:
                break
            if number % _CASES_A_CATALOG == _CASES_A_CATALOG - 1:
                self._renew_catalog()
            request, chance = self.request(number)
            answer = self._send(number, request)
            self.report.cases += 1
            if answer is not None and answer.status < 300 and chance.random() < 0.2:
                self._read_back(number, request, chance)
        self.report.peak_megabytes = _peak_megabytes()
        return self.report

    def request(self, number: int) -> tuple[Request, random.Random]:
        """Return the request of a case, and the source of all that is left to chance after it."""
        chance = random.Random(f"{self._seed}/{number}")
        sample = chance.choices(self._samples, self._weights)[0]
        return make_request(sample, self._mutator, chance), chance

    def _renew_catalog(self) -> None:
        address = f"{BASE_PATH}/api-catalogs"
        self._send(-1, Request("delete", "DELETE", f"{address}/{CATALOG}", b"", {}))
        body = json.dumps({"id": CATALOG, "name": CATALOG, "version": "1"}).encode()
        self._send(-1, Request("create", "POST", address, body, {"content-type": "application/json"}))

    def _read_back(self, number: int, request: Request, chance: random.Random) -> None:
        spec = request.path.partition("?")[0].removesuffix("/upload")
        addresses = {"spec": spec, "specs": _SPEC, "catalog": _SPEC.removesuffix("/specs"), "root": BASE_PATH}
        for path in chance.sample(_READS, 3):
            self._send(number, Request("read", "GET", path.format(**addresses), b"", {}))

    def _send(self, number: int, request: Request) -> Answer | None:
        began = time.process_time()  # what others do on the machine is not counted
        answer: Answer | None = None
        try:
            answer = self._gateway.call(request.method, request.path, request.body, headers=request.headers)
            problem = broken_promise(answer)
        except RequestRefusedError:
            problem = None
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            problem = traceback.format_exc()
        seconds = time.process_time() - began
        self.report.answers[f"{request.kind} {answer.status if answer else 'none'}"] += 1
        if seconds > self.report.slowest_seconds:
            self.report.slowest_seconds, self.report.slowest_case = seconds, number
        if problem is None and seconds > MAX_SECONDS:
            problem = f"the answer took {seconds:.1f} s of the processor, more than {MAX_SECONDS:g}"
        if problem is None and self.report.peak_megabytes <= MAX_MEGABYTES < _peak_megabytes():
            self.report.peak_megabytes = _peak_megabytes()
            problem = f"the process grew to {_peak_megabytes()} MB, more than {MAX_MEGABYTES}"
        if problem is not None:
            self._keep_finding(number, request, problem)
        return answer

    def _keep_finding(self, number: int, request: Request, problem: str) -> None:
        self._keep.mkdir(parents=True, exist_ok=True)
        path = self._keep / f"{self._seed}-{number}-{len(self.report.findings)}.json"
        kept: dict[str, Any] = {
            "seed": self._seed, "case": number, "problem": problem, "method": request.method, "path": request.path,
            "headers": request.headers, "body": base64.b64encode(request.body).decode(),
        }  # fmt: skip
        path.write_text(json.dumps(kept, indent=1))
        self.report.findings.append(
            f"seed {self._seed} case {number} ({request.kind} {request.method} {request.path[:200]}): {problem}\n"
            f"    kept as {path}; again with: python -m tests.fuzz --seed {self._seed} --case {number}"
        )


def broken_promise(answer: Answer) -> str | None:
    """Return what is wrong with an answer by the contract alone, None where nothing is."""
    if answer.status >= 500:
        return f"status {answer.status}: {answer.body[:300]!r}"
    if answer.status == 204:
        return f"204 with a body: {answer.body[:300]!r}" if answer.body else None
    if answer.status >= 400:
        try:
            error = answer.json["error"]
            if set(answer.json) == {"error"} and set(error) == {"code", "message", "details"} and error["message"]:
                return None
        except (ValueError, TypeError, KeyError):
            pass
        return f"status {answer.status} in another shape: {answer.body[:300]!r}"
    return None


def _peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
