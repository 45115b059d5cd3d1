"""One slice after another, from upload to publication, on a real database."""

import logging
import re
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from opdex.database import Connection, Database
from opdex.embedding.registry import RegisteredModel, register_model, settle_dimension
from opdex.errors import LeaseLost, ProviderFailed
from opdex.indexing.deadline import Deadline
from opdex.indexing.slice import SliceResult
from opdex.indexing.worker import Worker
from opdex.jobs import enqueue, events, leases, watches
from opdex.jobs.wakeups import WakeUp
from opdex.observability import logger
from opdex.settings import EmbedSettings
from tests.integration.engine import CATALOG, Engine, ScriptedEmbedder, things, wait_until


def _model(engine: Engine) -> RegisteredModel:
    return engine.transact(lambda c: settle_dimension(c, register_model(c, engine.embedder.identity), 8, 1)[0])


def _plan(engine: Engine, held: leases.Claim, model: RegisteredModel) -> leases.Plan:
    plan = engine.transact(lambda c: leases.plan_or_publish(c, held, model))
    assert plan is not None
    return plan


def _claim(engine: Engine, lease_seconds: float = 30.0) -> leases.Claim:
    held = engine.transact(lambda c: leases.claim(c, engine.embedder.provider, lease_seconds))
    assert held is not None
    return held


def test_job_is_published_when_all_texts_are_embedded(engine: Engine) -> None:
    job_id = engine.job_id("users", things(10))

    assert engine.worker().handle() == [SliceResult("published", texts_embedded=10)]

    job, status = engine.job(job_id), engine.status("users")
    assert (job.status, job.attempts, job.slices, job.reused) == ("succeeded", 1, 1, 0)
    assert (status.embedding_count, status.operation_count, status.embedded_so_far) == (10, 10, None)
    assert sorted(engine.embedder.texts) == sorted(set(engine.embedder.texts))
    assert len(engine.embedder.texts) == 10
    details = {event.event: event.detail for event in job.events}
    assert details["enqueued"] == {"kind": "spec_write", "reembed": False}
    assert details["planned"] == {"revision": 1, "operations": 10, "embedded": 0}
    chunks = [event.detail for event in job.events if event.event == "chunk"]
    assert sum(chunk["texts"] for chunk in chunks) == chunks[-1]["embedded_so_far"] == 10


def test_status_ticks_up_when_three_chunks_take_100_ms_each(engine: Engine) -> None:
    engine.job_id("users", things(12))
    engine.embedder.seconds_a_call = 0.1
    worker = engine.worker()
    worker._worker._pace.measured(4, 0.1, 1)  # a warm process knows the provider's speed
    slice_ = threading.Thread(target=worker.handle)
    slice_.start()
    seen: list[int] = []
    while (status := engine.status("users")).job_status != "succeeded":
        if status.embedded_so_far is not None and (not seen or seen[-1] != status.embedded_so_far):
            seen.append(status.embedded_so_far)
    slice_.join()

    assert [count for count in seen if count] == [4, 8, 12]
    assert seen == sorted(set(seen))


def test_first_count_is_the_reused_one_when_part_is_embedded_already(engine: Engine) -> None:
    engine.job_id("users", things(6))
    engine.worker().handle()
    job_id = engine.job_id("more", things(9))

    held, model = _claim(engine), _model(engine)
    plan = _plan(engine, held, model)

    assert plan.embedded == 6
    assert engine.status("more").embedded_so_far == 6
    assert engine.job(job_id).reused == 6


def test_upload_is_published_without_a_job_when_every_vector_exists(engine: Engine) -> None:
    engine.job_id("users", things(6))
    engine.worker().handle()

    upload = engine.upload("copy", things(6))

    assert upload.job_id is None
    assert upload.spec.embedding_count == 6
    assert engine.status("copy").job_status is None


def test_upload_is_published_without_a_job_when_there_is_no_operation(engine: Engine) -> None:
    upload = engine.upload("empty", [])

    assert upload.job_id is None
    assert engine.status("empty").operation_count == 0


def test_provider_is_not_called_when_a_job_finds_every_vector(engine: Engine) -> None:
    job_id = engine.job_id("users", things(6))
    engine.job_id("twin", things(6))
    engine.worker().handle()

    assert len(engine.embedder.texts) == 6
    assert [row["status"] for row in engine.sql("SELECT status FROM jobs")] == ["succeeded", "succeeded"]
    assert engine.job(job_id).reused == 0
    assert engine.status("twin").reused == 6


def test_job_is_published_with_its_claim_when_nothing_is_missing(engine: Engine) -> None:
    engine.job_id("users", things(6))
    twin = engine.job_id("twin", things(6))
    engine.worker().handle()

    assert engine.events(twin) == ["enqueued", "claimed", "published"]
    assert [job_id for job_id, _ in engine.wake_ups.of_kind("lease")] == [twin - 1]
    published = engine.sql("SELECT at FROM job_events WHERE job_id = %s ORDER BY id", twin)
    assert published[1]["at"] <= published[2]["at"]


def test_only_what_misses_nothing_is_published_when_its_provider_has_a_cool_down(engine: Engine) -> None:
    engine.job_id("users", things(6))
    twin, other = engine.job_id("twin", things(6)), engine.job_id("other", things(6, "other"))
    engine.sql("UPDATE jobs SET ready_at = now() + interval '1 hour' WHERE id IN (%s, %s)", twin, other)
    assert engine.worker().outcomes() == ["published"]
    engine.sql("UPDATE jobs SET ready_at = now() WHERE status = 'pending'")
    engine.sql("INSERT INTO cool_downs VALUES ('scripted', now() + interval '60 seconds', 1, 'busy')")

    assert engine.worker().outcomes() == ["published"]
    assert [engine.job(job_id).status for job_id in (twin, other)] == ["succeeded", "pending"]


def test_jobs_are_claimed_when_a_statement_takes_longer_than_a_commit_waits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.job_id("users", things(6))
    engine.job_id("twin", things(6))
    engine.job_id("others", things(6, "other"))
    monkeypatch.setattr("opdex.indexing.worker._TAKE_SECONDS", 0.0)

    assert engine.worker().outcomes() == ["published"] * 3


def test_claim_takes_another_job_when_the_spec_of_the_first_is_being_changed(engine: Engine) -> None:
    first, second = engine.job_id("first", things(2, "a")), engine.job_id("second", things(2, "b"))
    uploading = Database(engine.settings)
    with uploading.transaction() as c:
        c.execute("SELECT FROM specs WHERE spec_name = 'first' FOR NO KEY UPDATE")

        assert _claim(engine).job_id == second
        assert engine.transact(lambda c: leases.claim(c, engine.embedder.provider, 30.0)) is None
    uploading.close()

    assert _claim(engine).job_id == first


def test_lease_ends_with_its_invocation_when_a_write_had_to_be_repeated(engine: Engine) -> None:
    engine.job_id("users", things(12))
    engine.sql("CREATE SEQUENCE writes")
    engine.sql(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN
               IF nextval('writes') = 2 THEN PERFORM pg_sleep(0.5); RAISE 'refused'; END IF;
               RETURN NULL;
           END $$"""
    )
    engine.sql("CREATE TRIGGER refuse AFTER INSERT ON vectors FOR EACH STATEMENT EXECUTE FUNCTION refuse()")
    ((kill_at,),) = [tuple(row.values()) for row in engine.sql("SELECT clock_timestamp() + interval '5 s' AS at")]
    lease_ends: list[datetime] = []

    def remember(texts: Sequence[str]) -> None:
        rows = engine.sql("SELECT lease_expires_at FROM jobs WHERE status = 'running'")
        lease_ends.extend(row["lease_expires_at"] for row in rows)

    engine.embedder.script = remember

    assert engine.worker().outcomes(seconds=5.0) == ["published"]
    assert max(lease_ends) <= kill_at + timedelta(milliseconds=200)


def test_shared_text_counts_for_each_operation_when_it_is_embedded_once(engine: Engine) -> None:
    job_id = engine.job_id("users", things(3))
    engine.sql("UPDATE stored_operations SET text = 'shared', text_hash = sha256('shared') WHERE position > 0")

    engine.worker().handle()

    assert sorted(engine.embedder.texts)[0] == "shared"
    assert len(engine.embedder.texts) == 2
    counts = [event.detail["embedded_so_far"] for event in engine.job(job_id).events if event.event == "chunk"]
    assert counts[-1] == 3
    assert engine.status("users").embedding_count == 3


def test_job_still_succeeds_when_a_progress_write_fails(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    engine.job_id("users", things(12))
    engine.sql("CREATE SEQUENCE writes")
    engine.sql(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN
               IF nextval('writes') IN (2, 3) THEN RAISE 'refused'; END IF;
               RETURN NULL;
           END $$"""
    )
    engine.sql("CREATE TRIGGER refuse AFTER INSERT ON vectors FOR EACH STATEMENT EXECUTE FUNCTION refuse()")

    with caplog.at_level(logging.DEBUG, logger="opdex"):
        outcomes = engine.worker().outcomes()

    assert outcomes == ["published"]
    assert engine.status("users").embedding_count == 12
    assert len(engine.embedder.texts) == 12
    failed = [record for record in caplog.records if record.message == "write failed, trying again"]
    assert [record.levelname for record in failed] == ["DEBUG", "DEBUG"]


def test_nothing_is_written_when_the_lease_was_rotated(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    held, model = _claim(engine), _model(engine)
    plan = _plan(engine, held, model)
    engine.sql("UPDATE jobs SET lease_token = gen_random_uuid() WHERE id = %s", job_id)
    before = engine.sql("SELECT * FROM jobs")

    chunk = [(text, engine.embedder.embed_queries([text.text])[0]) for text in plan.missing]
    error = LeaseLost("lost")
    late_writes = [
        lambda c: leases.record(
            c, held, "scripted", model, chunk, embedded_so_far=4, fresh_after=None, lease_seconds=30.0
        ),
        lambda c: leases.plan_or_publish(c, held, model),
        lambda c: leases.plan_or_publish(c, held, model, held.standing),
        lambda c: leases.renew(c, held, 30.0),
        lambda c: leases.yield_job(c, held, idle=False),
        lambda c: leases.hold_up(c, held, "scripted", error, retry_after=1.0, limit_seconds=60.0),
        lambda c: leases.fail(c, held, error, parked=True),
    ]
    for write in late_writes:
        with pytest.raises(LeaseLost) as lost:
            engine.transact(write)
        assert lost.value.details == {"job_id": job_id}
    assert engine.transact(lambda c: leases.retry_later(c, held, error, 5)) is None

    assert engine.sql("SELECT * FROM jobs") == before
    assert engine.sql("SELECT * FROM vectors") == []
    assert engine.sql("SELECT * FROM cool_downs") == []
    assert engine.sql("SELECT published_revision FROM specs") == [{"published_revision": None}]


def test_worker_stops_at_its_next_write_when_its_lease_was_rotated(engine: Engine) -> None:
    job_id = engine.job_id("users", things(30))

    def rotate(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 2:
            wait_until(lambda: engine.job(job_id).embedded_so_far == 5)
            engine.sql("UPDATE jobs SET lease_token = gen_random_uuid() WHERE id = %s", job_id)

    engine.embedder.script = rotate

    assert engine.worker().outcomes() == ["lease_lost"]
    assert engine.sql("SELECT count(*) AS vectors FROM vectors") == [{"vectors": 5}]
    assert engine.job(job_id).embedded_so_far == 5
    assert len(engine.embedder.calls) <= 4


def test_counter_is_left_alone_when_a_job_is_handed_back_retried_or_ended(engine: Engine) -> None:
    job_id = engine.job_id("users", things(4))
    model = _model(engine)

    def counter() -> int:
        (row,) = engine.sql("SELECT embedded_so_far FROM jobs WHERE id = %s", job_id)
        return int(row["embedded_so_far"])

    def claim_and_record() -> leases.Claim:
        held = _claim(engine)
        plan = _plan(engine, held, model)
        chunk = [(plan.missing[0], engine.embedder.embed_queries([plan.missing[0].text])[0])]
        engine.transact(
            lambda c: leases.record(
                c,
                held,
                "scripted",
                model,
                chunk,
                embedded_so_far=plan.embedded + 1,
                fresh_after=None,
                lease_seconds=30.0,
            )
        )
        return held

    held = claim_and_record()
    engine.transact(lambda c: leases.yield_job(c, held, idle=False))
    assert counter() == 1
    held = claim_and_record()
    assert engine.transact(lambda c: leases.retry_later(c, held, LeaseLost("x"), 5)) is not None
    assert counter() == 2
    engine.sql("UPDATE jobs SET ready_at = now()")
    held = claim_and_record()
    engine.transact(lambda c: leases.fail(c, held, LeaseLost("x"), parked=False))
    assert counter() == 3
    assert engine.status("users").embedded_so_far is None


def test_job_goes_on_where_it_was_when_it_takes_many_slices(engine: Engine) -> None:
    job_id = engine.job_id("users", things(30))
    engine.embedder.seconds_a_call = 0.1
    engine.embedder.max_texts = 1
    worker = engine.worker()
    seen, slices = [0], 0
    while engine.job(job_id).status != "succeeded":
        assert worker.outcomes(seconds=0.6) in (["yielded"], ["published"])
        slices += 1
        (row,) = engine.sql("SELECT embedded_so_far FROM jobs WHERE id = %s", job_id)
        seen.append(row["embedded_so_far"])

    job = engine.job(job_id)
    assert (job.attempts, job.slices) == (1, slices)
    assert slices >= 10
    assert seen == sorted(seen)
    assert len(engine.embedder.texts) == len(set(engine.embedder.texts)) == 30


def test_four_workers_take_four_jobs_at_once_when_all_are_ready(engine: Engine) -> None:
    job_ids = {engine.job_id(f"spec{number}", things(8, kind=f"kind{number}")) for number in range(4)}
    all_embed = threading.Barrier(5, timeout=30)  # the workers, and this test

    def meet(texts: Sequence[str]) -> None:
        if any("number 0" in text for text in texts):
            all_embed.wait()

    embedders = [ScriptedEmbedder(script=meet) for _ in range(4)]
    workers = [engine.worker(embedder) for embedder in embedders]
    threads = [threading.Thread(target=worker.handle) for worker in workers]
    for thread in threads:
        thread.start()
    tokens: set[str] = set()

    def all_seen_running() -> bool:
        rows = engine.sql("SELECT lease_token FROM jobs WHERE status = 'running'")
        tokens.update(str(row["lease_token"]) for row in rows)
        return len(rows) == 4

    wait_until(all_seen_running)
    all_embed.wait()
    for thread in threads:
        thread.join()

    assert len(tokens) == 4
    assert {engine.job(job_id).status for job_id in job_ids} == {"succeeded"}
    assert [len(embedder.texts) for embedder in embedders] == [8, 8, 8, 8]


def test_claim_takes_the_job_that_has_been_ready_longest_when_woken_for_another(engine: Engine) -> None:
    first, second = engine.job_id("first", things(1, "a")), engine.job_id("second", things(1, "b"))

    engine.worker().handle(job_id=second)

    (claims,) = [engine.sql("SELECT job_id FROM job_events WHERE event = 'claimed' ORDER BY id")]
    assert [row["job_id"] for row in claims] == [first, second]


def test_one_sibling_is_woken_when_more_is_ready_after_a_claim(engine: Engine) -> None:
    first, second = engine.job_id("first", things(1, "a")), engine.job_id("second", things(1, "b"))
    engine.worker().handle(job_id=first)

    assert engine.wake_ups.of_kind("ready") == [(second, 0)]


def test_no_sibling_is_woken_when_the_provider_has_just_been_throttled(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = engine.job_id("first", things(1, "a")), engine.job_id("second", things(1, "b"))
    send = engine.wake_ups.send

    def throttle_elsewhere_and_send(wake_up: WakeUp, delay_seconds: float = 0) -> None:
        engine.sql(
            """INSERT INTO cool_downs VALUES ('scripted', now() + interval '60 seconds', 1, 'busy')
               ON CONFLICT DO NOTHING"""
        )
        send(wake_up, delay_seconds)

    monkeypatch.setattr(engine.wake_ups, "send", throttle_elsewhere_and_send)

    assert engine.worker().outcomes(job_id=first) == ["published"]
    assert second not in {job_id for job_id, _ in engine.wake_ups.of_kind("ready")}


def test_no_wake_up_is_sent_when_a_claim_finds_nothing(engine: Engine) -> None:
    assert engine.worker().outcomes(job_id=1) == []
    assert engine.wake_ups.sent == []


def test_delayed_wake_up_for_the_lease_is_sent_when_a_job_is_claimed(engine: Engine) -> None:
    job_id = engine.job_id("users", things(1))

    engine.worker().handle()

    ((woken, delay),) = engine.wake_ups.of_kind("lease")
    assert woken == job_id
    assert 30 <= delay <= 32


def test_second_upload_is_not_swallowed_when_a_slice_runs(engine: Engine) -> None:
    job_id = engine.job_id("users", things(30, "old"))
    uploads: list[int | None] = []

    def overtake(texts: Sequence[str]) -> None:
        if len(engine.embedder.calls) == 1:
            uploads.append(engine.upload("users", things(8, "new")).job_id)

    engine.embedder.script = overtake
    assert engine.worker().outcomes() == ["published"]

    assert uploads == [job_id]
    job, status = engine.job(job_id), engine.status("users")
    assert (job.revision, job.operation_count, job.status) == (2, 8, "succeeded")
    assert (status.embedding_count, status.operation_count) == (8, 8)
    assert sum(text.startswith("old") for text in engine.embedder.texts) < 20
    assert engine.sql("SELECT current_revision, published_revision FROM specs") == [
        {"current_revision": 2, "published_revision": 2}
    ]


def test_duplicate_enqueue_opens_no_second_job_when_one_is_open(engine: Engine) -> None:
    first = engine.job_id("users", things(6))
    second = engine.job_id("users", things(7))
    third = engine.job_id("users", things(7))

    assert first == second == third
    assert engine.sql("SELECT id, revision, operation_count FROM jobs") == [
        {"id": first, "revision": 2, "operation_count": 7}
    ]
    assert (engine.job(first).events[-1].event, engine.job(first).events[-1].detail) == ("upgraded", {"reembed": False})


def test_old_revision_stays_published_when_the_new_one_is_under_way(engine: Engine) -> None:
    engine.job_id("users", things(6, "old"))
    engine.worker().handle()
    engine.job_id("users", things(8, "new"))
    seen: list[tuple[int, int]] = []

    def look(texts: Sequence[str]) -> None:
        status = engine.status("users")
        seen.append((status.embedding_count, status.operation_count))

    engine.embedder.script = look
    engine.worker().handle()

    assert set(seen) == {(6, 8)}
    assert engine.status("users").embedding_count == 8


def _prepared(engine: Engine) -> set[str]:
    """Return the names of the engine's statements that its connection has planned."""

    def shape(statement: str) -> str:
        return re.sub(r"%\(\w+\)s|\$\d+", "?", statement)

    planned = {shape(row["statement"]) for row in engine.sql("SELECT statement FROM pg_prepared_statements")}
    modules = (enqueue, events, leases, watches)
    return {name for module in modules for name, text in module._SQL.items() if shape(text) in planned}


def test_statements_of_every_job_are_planned_once_when_a_connection_stays(engine: Engine) -> None:
    read = EmbedSettings(database_url=engine.settings.database_url, embed_queue_url="unused")
    worker = Worker(read, engine.database, engine.embedder, engine.wake_ups)
    first = engine.job_id("users", things(1))
    assert _prepared(engine) >= {"open", "unpark", "log_event"}
    engine.job_id("users", things(2))
    assert "renew_open" in _prepared(engine)

    worker.handle(WakeUp(job_id=first), Deadline(lambda: 60_000))
    assert _prepared(engine) >= {"waiting", "expire", "hold_vectors", "publish_ready", "claim", "planned"}
    assert _prepared(engine) >= {"watched", "next_ready", "record_progress", "surroundings", "publish"}

    again = engine.transact(lambda c: enqueue.reembed(c, CATALOG, "users"))
    engine.transact(lambda c: enqueue.cancel(c, again.job_id))
    engine.transact(lambda c: enqueue.retry(c, again.job_id))
    assert _prepared(engine) >= {"lock_spec", "lock_spec_by_id"}


def test_claim_knows_no_standing_when_its_revision_came_too_late_to_be_seen(engine: Engine) -> None:
    engine.job_id("users", things(2))
    seen = _claim(engine).standing
    assert seen is not None
    assert (seen.revision, seen.operation_count, seen.fresh_after) == (1, 2, None)

    engine.job_id("others", things(2))
    engine.sql("UPDATE specs SET current_revision = 2 WHERE spec_name = 'others'")
    assert _claim(engine).standing is None


def test_standing_is_read_once_when_it_came_with_the_claim(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.job_id("users", things(1))
    engine.worker().handle()
    engine.transact(lambda c: enqueue.reembed(c, CATALOG, "users"))
    read: list[leases.Claim] = []
    read_standing = leases.read_standing

    def reading(connection: Connection, held: leases.Claim) -> leases.Standing:
        read.append(held)
        return read_standing(connection, held)

    monkeypatch.setattr(leases, "read_standing", reading)
    engine.embedder.script = lambda texts: read.clear() if not read else pytest.fail("read before the first call")

    assert engine.worker().outcomes() == ["published"]
    assert len(read) == 1, "to publish"


def test_jobs_that_miss_nothing_share_a_commit_when_they_are_quick(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        engine.job_id(name, things(6))
    engine.worker().handle()
    monkeypatch.setattr("opdex.indexing.worker._TAKE_SECONDS", 60.0)
    with engine.database.transaction() as c:
        for row in c.execute("SELECT id FROM specs").fetchall():
            enqueue.enqueue(c, row["id"], "manual_retry")

    assert engine.worker().outcomes() == ["published"] * 3

    commits = engine.sql("SELECT DISTINCT completed_at FROM jobs WHERE kind = 'manual_retry'")
    assert len(commits) == 1


@pytest.mark.parametrize(("seconds", "looks"), [(60.0, 1), (0.0, 4)])
def test_lapsed_leases_are_looked_for_now_and_then_when_a_wake_up_works_off_many_jobs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, seconds: float, looks: int
) -> None:
    for name in ("first", "second", "third"):
        engine.job_id(name, things(1, name))
    looked: list[int] = []
    monkeypatch.setattr("opdex.indexing.worker._EXPIRE_EVERY_SECONDS", seconds)
    monkeypatch.setattr(leases, "expire_leases", lambda connection, max_attempts: looked.append(max_attempts))

    assert engine.worker(max_attempts=4).outcomes() == ["published"] * 3
    assert looked == [4] * looks


def test_worker_calls_as_often_at_once_as_its_setting_or_its_provider_allows(engine: Engine) -> None:
    engine.embedder.calls_in_flight = 3

    assert engine.worker().pace.calls_in_flight == 3
    assert engine.worker(embedding_calls_in_flight=2).pace.calls_in_flight == 2


def test_worker_stops_when_its_job_needs_more_time_than_is_left_to_it(engine: Engine) -> None:
    engine.job_id("users", things(8))
    worker = engine.worker()
    worker.pace.measured(1, 1.0, 1)
    worker.pace.next_chunk(["text"], engine.embedder.batch_limits, under_way=0, time_left=100.0, target_seconds=5.0)

    (result,) = worker.handle(seconds=1.4)

    assert (result.outcome, result.wake_in) == ("yielded", 0)
    assert engine.embedder.calls == []


def test_length_of_a_slice_is_logged_to_the_millisecond(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine.job_id("users", things(1))

    class Ticking:
        now = 1000.0

        def monotonic(self) -> float:
            self.now += 0.1234567
            return self.now

    monkeypatch.setattr("opdex.indexing.worker.time", Ticking())
    with caplog.at_level(logging.INFO, logger="opdex"):
        engine.worker().handle()

    (ended,) = [record for record in caplog.records if record.message == "slice ended"]
    assert vars(ended)["seconds"] == 0.123


def test_lines_and_messages_of_a_job_carry_its_ids_when_it_is_worked_on(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = engine.job_id("first", things(4)), engine.job_id("second", things(2, "other"))
    twin = engine.job_id("twin", things(2))
    engine.sql("UPDATE jobs SET correlation_id = 'work-of-' || spec_name")
    keys: list[dict[str, object]] = []

    def fail_once(texts: Sequence[str]) -> None:
        engine.embedder.script = lambda texts: None
        keys.append(dict(logger.get_current_keys()))
        raise ProviderFailed

    engine.embedder.script = fail_once
    with caplog.at_level(logging.INFO, logger="opdex"):
        assert engine.worker().outcomes() == ["retried", "published", "published"]
        engine.sql("UPDATE jobs SET ready_at = now()")
        engine.worker().handle()

    ids = {"correlation_id": "work-of-first", "job_id": first, "slice": 1, "attempt": 1}
    assert [{name: each[name] for name in ids} for each in keys] == [ids]
    names = {first: "work-of-first", second: "work-of-second", twin: "work-of-twin"}
    assert {(wake_up.job_id, wake_up.correlation_id) for wake_up, _ in engine.wake_ups.sent} <= set(names.items())
    kinds = {(wake_up.kind, wake_up.job_id) for wake_up, _ in engine.wake_ups.sent}
    assert kinds >= {("lease", first), ("ready", first), ("ready", second)}


def test_ids_of_a_job_are_logged_when_it_is_published_with_its_claim(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine.job_id("users", things(2))
    engine.worker().handle()
    (spec,) = engine.sql("SELECT id FROM specs")
    job_id = engine.transact(lambda c: enqueue.enqueue(c, spec["id"], "manual_retry")).job_id
    engine.sql("UPDATE jobs SET correlation_id = 'asked-for'")
    monkeypatch.setattr(leases, "publish_ready", lambda *_: None)  # as it was a moment before

    with caplog.at_level(logging.INFO, logger="opdex"):
        assert engine.worker().outcomes() == ["published"]

    (line,) = [record for record in caplog.records if record.message == "published, nothing missing"]
    assert (vars(line)["job_id"], vars(line)["correlation_id"]) == (job_id, "asked-for")
