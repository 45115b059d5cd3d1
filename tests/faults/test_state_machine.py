"""Hypothesis drives the real store in any order that clients, workers, crashes and sweeps may come in.

A model of it, a few sets and numbers, says what each step must answer. Workers never give up what they hold: they go on
with leases that they lost, and must then be told so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from opdex.database import Connection
from opdex.embedding.registry import register_model, settle_dimension
from opdex.errors import LeaseLost, ProviderFailed, ProviderThrottled
from opdex.jobs import enqueue, leases
from opdex.jobs.sweep import sweep
from opdex.openapi import describe
from tests.integration.engine import Engine, document

_MOST_ATTEMPTS = 5
_SPECS = st.sampled_from(("users", "orders"))
_SUMMARIES = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)


@dataclass
class Spec:
    """What the model knows of a spec; ``job`` is its newest one."""

    texts: frozenset[str] = frozenset()
    revision: int = 0
    published: int | None = None
    job: int | None = None


@dataclass
class Job:
    """What the model knows of a job."""

    spec: Spec
    status: str = "pending"
    attempts: int = 0


@dataclass
class Held:
    """A claim as its worker sees it, whether it still holds or not."""

    claim: leases.Claim
    plan: leases.Plan
    embedded: int
    left: list[leases.MissingText] = field(default_factory=list)


class Store(RuleBasedStateMachine):
    """The real store beside its model."""

    engine: Engine
    held = Bundle("held")

    @initialize()
    def empty(self) -> None:
        self.engine.sql("TRUNCATE catalogs, specs, jobs, job_events, vectors, cool_downs CASCADE")
        self.specs: dict[str, Spec] = {}
        self.jobs: dict[int, Job] = {}
        self.vectors: set[str] = set()
        self.holders: dict[int, str] = {}  # the lease token under which a job runs
        identity = self.engine.embedder.identity
        self.model = self.engine.transact(lambda c: settle_dimension(c, register_model(c, identity), 8, texts=1)[0])

    # Clients.

    @rule(name=_SPECS, summaries=_SUMMARIES)
    def upload(self, name: str, summaries: list[str]) -> None:
        spec = self.specs.setdefault(name, Spec())
        texts = frozenset(operation.text for operation in describe(document(summaries)).operations)
        stored = self.engine.upload(name, summaries)
        if texts != spec.texts:
            spec.texts, spec.revision = texts, spec.revision + 1
        assert stored.spec.revision == spec.revision
        if not self._is_open(spec) and texts <= self.vectors:
            assert stored.job_id is None
            spec.published = spec.revision
        else:
            self._enqueued(spec, stored.job_id)

    @rule(name=_SPECS)
    def cancel(self, name: str) -> None:
        spec = self.specs.get(name)
        if spec is not None and spec.job is not None and self._is_open(spec):
            job_id = spec.job
            self.engine.transact(lambda c: enqueue.cancel(c, job_id))
            self._ended(job_id, "cancelled")

    @rule(name=_SPECS)
    def retry(self, name: str) -> None:
        spec = self.specs.get(name)
        if spec is not None and spec.job is not None and self.jobs[spec.job].status in ("failed", "cancelled"):
            job_id = spec.job
            self._enqueued(spec, self.engine.transact(lambda c: enqueue.retry(c, job_id)).job_id)

    # Workers.

    @rule(target=held)
    def claim(self) -> object:
        self._pass_time()
        claim = self.engine.transact(lambda c: leases.claim(c, self.engine.embedder.provider, 30))
        if claim is None:
            assert all(job.status != "pending" for job in self.jobs.values())
            return multiple()
        job = self.jobs[claim.job_id]
        assert job.status == "pending"
        job.status, job.attempts = "running", max(1, job.attempts)
        self.holders[claim.job_id] = str(claim.lease_token)
        return Held(claim, leases.Plan(0, 0, None, ()), 0)

    @rule()
    def publish_ready(self) -> None:
        self._pass_time()
        first = min((job_id for job_id, job in self.jobs.items() if job.status == "pending"), default=None)
        published = self.engine.transact(self._publish_ready)
        if first is None or not self.jobs[first].spec.texts <= self.vectors:
            assert not published
            return
        assert published
        job = self.jobs[first]
        job.attempts, job.spec.published = max(1, job.attempts), job.spec.revision
        self._ended(first, "succeeded")

    @rule(worker=held)
    def plan_or_publish(self, worker: Held) -> None:
        plans: list[leases.Plan | None] = []

        def write() -> None:
            plans.append(self.engine.transact(lambda c: leases.plan_or_publish(c, worker.claim, self.model)))

        if self._expect_fence(worker, write):
            spec, (plan,) = self._spec(worker), plans
            assert (plan is None) == (spec.texts <= self.vectors)
            if plan is None:
                spec.published = spec.revision
                self._ended(worker.claim.job_id, "succeeded")
            else:
                assert plan.revision == spec.revision
                worker.plan, worker.embedded, worker.left = plan, plan.embedded, list(plan.missing)
                assert {text.text for text in worker.left} == spec.texts - self.vectors

    @rule(worker=held, count=st.integers(1, 3))
    def record(self, worker: Held, count: int) -> None:
        chunk = worker.left[:count]
        if not chunk:
            return
        embedded = worker.embedded + sum(text.operations for text in chunk)
        recorded: list[leases.Recorded] = []

        def write() -> None:
            vectors = [(text, [1.0] * 8) for text in chunk]
            recorded.append(
                self.engine.transact(
                    lambda c: leases.record(
                        c, worker.claim, "scripted", self.model, vectors,
                        embedded_so_far=embedded, fresh_after=None, lease_seconds=30,
                    )
                )
            )  # fmt: skip

        if self._expect_fence(worker, write):
            worker.embedded, worker.left = embedded, worker.left[count:]
            self.vectors |= {text.text for text in chunk}
            assert recorded[0].outdates(worker.plan) == (worker.plan.revision != self._spec(worker).revision)

    @rule(worker=consumes(held), target=held, idle=st.booleans())
    def hand_back(self, worker: Held, idle: bool) -> Held:
        if self._expect_fence(
            worker, lambda: self.engine.transact(lambda c: leases.yield_job(c, worker.claim, idle=idle))
        ):
            self._ended(worker.claim.job_id, "pending")
        return worker

    @rule(worker=held)
    def hold_up(self, worker: Held) -> None:
        def write() -> None:
            self.engine.transact(
                lambda c: leases.hold_up(
                    c, worker.claim, "scripted", ProviderThrottled(), retry_after=None, limit_seconds=3600
                )
            )

        if self._expect_fence(worker, write):
            self._ended(worker.claim.job_id, "pending")

    @rule(worker=held)
    def fail_once(self, worker: Held) -> None:
        job = self.jobs[worker.claim.job_id]
        is_held = self._holds(worker)
        again = self.engine.transact(lambda c: leases.retry_later(c, worker.claim, ProviderFailed(), _MOST_ATTEMPTS))
        assert (again is not None) == (is_held and job.attempts < _MOST_ATTEMPTS)
        if again is not None:
            job.attempts += 1
            self._ended(worker.claim.job_id, "pending")

    @rule(worker=held, parked=st.booleans())
    def fail(self, worker: Held, parked: bool) -> None:
        def write() -> None:
            self.engine.transact(lambda c: leases.fail(c, worker.claim, ProviderFailed(), parked=parked))

        if self._expect_fence(worker, write):
            self._ended(worker.claim.job_id, "failed")

    # Crashes, and their repair.

    @rule(by_sweep=st.booleans())
    def expire(self, by_sweep: bool) -> None:
        self.engine.sql("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE status = 'running'")
        if by_sweep:
            self._sweep()
        else:
            self.engine.transact(lambda c: leases.expire_leases(c, _MOST_ATTEMPTS))
        for job_id in list(self.holders):
            job = self.jobs[job_id]
            if job.attempts < _MOST_ATTEMPTS:
                job.attempts += 1
                self._ended(job_id, "pending")
            else:
                self._ended(job_id, "failed")

    @rule()
    def sweep(self) -> None:
        self._sweep()

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "specs"):
            return
        stored = {
            row["id"]: (row["status"], row["attempts"])
            for row in self.engine.sql("SELECT id, status, attempts FROM jobs")
        }
        assert stored == {job_id: (job.status, job.attempts) for job_id, job in self.jobs.items()}
        published = {
            row["spec_name"]: row["published_revision"]
            for row in self.engine.sql("SELECT spec_name, published_revision FROM specs")
        }
        assert published == {name: spec.published for name, spec in self.specs.items()}

    def _publish_ready(self, connection: Connection) -> bool:
        leases.hold_vectors(connection)
        return leases.publish_ready(connection, self.model) is not None

    def _is_open(self, spec: Spec) -> bool:
        return spec.job is not None and self.jobs[spec.job].status in ("pending", "running")

    def _spec(self, worker: Held) -> Spec:
        return self.jobs[worker.claim.job_id].spec

    def _enqueued(self, spec: Spec, job_id: int | None) -> None:
        assert job_id is not None
        if self._is_open(spec):
            assert job_id == spec.job
            job = self.jobs[job_id]
            job.attempts = 1 if job.status == "running" else 0
        else:
            assert job_id not in self.jobs
            self.jobs[job_id] = Job(spec)
            spec.job = job_id

    def _ended(self, job_id: int, status: str) -> None:
        self.jobs[job_id].status = status
        self.holders.pop(job_id, None)

    def _holds(self, worker: Held) -> bool:
        return self.holders.get(worker.claim.job_id) == str(worker.claim.lease_token)

    def _expect_fence(self, worker: Held, write: Callable[[], object]) -> bool:
        """Return whether the worker holds its job; where not, the write must be refused."""
        if self._holds(worker):
            write()
            return True
        with pytest.raises(LeaseLost):
            write()
        return False

    def _pass_time(self) -> None:
        self.engine.sql("DELETE FROM cool_downs")
        self.engine.sql("UPDATE jobs SET ready_at = now() - interval '1 s' WHERE status = 'pending'")

    def _sweep(self) -> None:
        sweep(
            self.engine.database, self.engine.wake_ups, self.engine.embedder.identity,
            workers=1, max_attempts=_MOST_ATTEMPTS, retention_days=14,
        )  # fmt: skip


@pytest.mark.timeout(280)
def test_store_answers_as_its_model_does_in_any_order(engine: Engine) -> None:
    run_state_machine_as_test(
        type("StoreOfTest", (Store,), {"engine": engine}),
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
