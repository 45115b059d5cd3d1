"""A worker that dies at every statement of its slice in turn, BEGIN and COMMIT included; another one goes on."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from local.scratch import scratch_folder
from opdex.database import Database
from opdex.embedding import make_embedder
from opdex.indexing.deadline import Deadline
from opdex.indexing.worker import Worker
from opdex.jobs.wakeups import WakeUp
from tests.faults.harness import CALLS_IN_FLIGHT, Stage
from tests.faults.invariants import broken
from tests.faults.worker import work
from tests.integration.engine import wait_until
from tests.ollama_server import Call

_MOST_STATEMENTS = 200
_TEXTS = 12


@pytest.mark.timeout(280)
def test_a_death_at_any_statement_loses_nothing_and_repeats_at_most_what_was_under_way(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(stack.enter_context(scratch_folder(tmp_path)), seed=0, workers=0))
        c = stack.enter_context(stage.sql())
        stage.provider.base_seconds = stage.provider.seconds_per_text = 0.0
        settings = stage.assignment().settings()
        database = stack.enter_context(closing(Database(settings)))
        survivor = Worker(settings, database, make_embedder(settings), stage.queue)
        for statement in range(1, _MOST_STATEMENTS):
            calls_before = len(stage.provider.calls)
            process = stage.start(work, stage.assignment(dies_at_statement=statement))
            texts = [f"thing {number} of {statement}" for number in range(_TEXTS)]
            job_id = stage.upload("catalog", f"spec-{statement}", texts)
            done = "SELECT id FROM jobs WHERE id = %s AND status = 'succeeded'"
            wait_until(lambda: not process.is_alive() or c.execute(done, [job_id]).fetchone() is not None, 30)  # noqa: B023
            if process.is_alive():
                break  # its slice has fewer statements
            process.join()
            # Its lease runs out, here at once, and the next worker goes on.
            c.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE status = 'running'")
            ends_at = time.monotonic() + 30
            survivor.handle(WakeUp(job_id=job_id or 0), Deadline(lambda: int((ends_at - time.monotonic()) * 1000)))  # noqa: B023
            assert c.execute(done, [job_id]).fetchone(), f"the death at statement {statement} was not recovered from"
            _assert_little_was_repeated(stage.provider.calls[calls_before:], statement)
        else:
            pytest.fail("a slice has fewer statements than this")
        process.kill()
        process.join()
        assert statement > 20
        assert list(broken(c)) == []
        attempts = c.execute("SELECT attempts FROM jobs WHERE attempts NOT IN (1, 2)").fetchall()
        assert attempts == []


def _assert_little_was_repeated(calls: Sequence[Call], statement: int) -> None:
    """What one death repeats: the calls under way, and one chunk that was not written yet."""
    times_sent = Counter(text for call in calls for text in call.texts)
    again = sum(times - 1 for times in times_sent.values())
    largest = sorted((len(call.texts) for call in calls), reverse=True)
    assert again <= sum(largest[: CALLS_IN_FLIGHT + 1]), f"the death at statement {statement} repeated {again} texts"
    assert len(times_sent) == _TEXTS
