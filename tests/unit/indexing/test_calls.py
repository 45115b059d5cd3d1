import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from opdex.embedding import BatchLimits, ModelIdentity, Pace, Vector
from opdex.errors import (
    ProviderFailed,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreached,
    TextRejected,
    TextTooSlow,
)
from opdex.indexing import calls as call_module
from opdex.indexing.calls import CallLimits, Calls, Embedded
from opdex.indexing.deadline import Deadline
from opdex.jobs.leases import MissingText


class _Embedder:
    provider, model, calls_in_flight = "stub", "stub", 3
    identity = ModelIdentity(provider, model)
    batch_limits = BatchLimits(4, 10_000)

    def __init__(self, act: Callable[[Sequence[str]], object] = lambda texts: None, *, is_there: bool = True) -> None:
        self.act = act
        self.is_there = is_there
        self.calls: list[list[str]] = []
        self.timeouts: list[float] = []
        self.probes = 0

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        self.calls.append(list(texts))
        self.timeouts.append(timeout)
        self.act(texts)
        return [[1.0] for _ in texts]

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0] for _ in texts]

    def probe(self) -> None:
        self.probes += 1
        if not self.is_there:
            raise ProviderUnavailable


@dataclass
class _Notes(Pace):
    """A pace that notes what it is asked and told, and lets this many texts and calls go."""

    texts_a_call: int = 4
    calls_in_flight: int = 2
    targets: list[float] = field(default_factory=list)
    measures: list[tuple[int, float, int]] = field(default_factory=list)

    def allows_another(self, under_way: int) -> bool:
        return under_way < self.calls_in_flight

    def next_chunk(
        self, texts: Sequence[str], limits: BatchLimits, *, under_way: int, time_left: float, target_seconds: float
    ) -> int:
        self.targets.append(target_seconds)
        return min(len(texts), self.texts_a_call)

    def measured(self, texts_sent: int, seconds: float, at_once: int) -> None:
        self.measures.append((texts_sent, seconds, at_once))


@dataclass
class _Clock:
    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


def _missing(count: int) -> list[MissingText]:
    return [MissingText(bytes([number]) * 32, f"text {number}", 1, f"GET /{number}") for number in range(count)]


def _warm_pace(at_once: int) -> Pace:
    """Return the pace of a process that has seen calls of four texts not slow each other down."""
    pace = Pace(at_once)
    for size in (1, 1, *range(2, at_once + 1)):
        pace.measured(4, 0.01, size)
    return pace


def _calls(
    embedder: _Embedder, count: int, *, at_once: int = 1, seconds: float = 60.0, pace: Pace | None = None
) -> Calls:
    limits = CallLimits(target_seconds=5.0, timeout_seconds=30.0)
    deadline = Deadline(lambda: int(seconds * 1000))
    return Calls(embedder, pace or _warm_pace(at_once), limits, deadline, _missing(count))


def _run(calls: Calls) -> Embedded:
    embedded: Embedded = []
    with calls:
        calls.start()
        while calls.under_way:
            embedded += calls.collect()
            calls.start()
            calls.written()
            calls.start()
    return embedded


def test_every_text_comes_back_once_when_all_goes_well() -> None:
    embedder = _Embedder()

    embedded = _run(calls := _calls(embedder, 10))

    assert [missing.text for missing, _ in embedded] == [f"text {number}" for number in range(10)]
    assert [len(call) for call in embedder.calls] == [4, 4, 2]
    assert calls.failure is None
    assert not calls.are_left


@pytest.mark.parametrize("at_once", [3, 40])
def test_as_many_calls_are_under_way_as_the_window_allows(at_once: int) -> None:
    meet = threading.Barrier(at_once, timeout=10)
    pace = _Notes(calls_in_flight=at_once)

    embedded = _run(_calls(_Embedder(lambda texts: meet.wait()), 4 * at_once, pace=pace))

    assert len(embedded) == 4 * at_once
    assert sorted(size for _, _, size in pace.measures) == list(range(1, at_once + 1))


def test_first_call_is_short_when_the_slice_has_shown_nothing_yet() -> None:
    pace = _Notes(calls_in_flight=1)

    _run(calls := _calls(_Embedder(), 10, pace=pace))

    assert pace.targets == [0.25, 5.0, 5.0]
    assert calls.texts_paid_for == 10


def test_first_call_is_no_longer_than_wanted_when_less_than_that_is() -> None:
    pace = _Notes(calls_in_flight=1)
    limits = CallLimits(target_seconds=0.1, timeout_seconds=30.0)

    _run(Calls(_Embedder(), pace, limits, Deadline(lambda: 60_000), _missing(8)))

    assert pace.targets == [0.1, 0.1]


@pytest.mark.parametrize(("seconds", "timeout"), [(60.0, 30.0), (20.0, 18.0)])
def test_call_may_take_its_limit_and_no_longer_than_the_slice(seconds: float, timeout: float) -> None:
    embedder = _Embedder()

    _run(_calls(embedder, 4, seconds=seconds))

    assert embedder.timeouts == [pytest.approx(timeout, abs=0.5)]


def test_call_is_timed_from_its_start_to_its_return_and_its_chunk_to_the_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, pace = _Clock(), _Notes(calls_in_flight=1)
    measured: list[tuple[str, float]] = []
    monkeypatch.setattr(call_module, "time", clock)
    monkeypatch.setattr(call_module, "measure", lambda name, value: measured.append((name, value)))
    started = threading.Event()

    def answer(texts: Sequence[str]) -> None:
        assert started.wait(10)
        clock.now += 2.0

    with _calls(_Embedder(answer), 4, pace=pace) as calls:
        calls.start()
        started.set()
        calls.collect()
        clock.now += 0.2501234
        calls.written()
        calls.written()

    assert pace.measures == [(4, 2.0, 1)]
    assert measured == [("ChunkLatency", 2250.123)]


def test_call_that_came_back_is_collected_when_another_has_not() -> None:
    let_go = threading.Event()

    def hang(texts: Sequence[str]) -> None:
        if "text 0" in texts:
            let_go.wait(10)

    with _calls(_Embedder(hang), 8, pace=_Notes()) as calls:
        calls.start()
        first = calls.collect()
        under_way = calls.under_way
        let_go.set()
        second = calls.collect()

    assert ([missing.text for missing, _ in first], under_way) == ([f"text {number}" for number in range(4, 8)], 1)
    assert [missing.text for missing, _ in second] == [f"text {number}" for number in range(4)]


def test_all_texts_are_collected_when_two_calls_came_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait_for_all(futures: Iterable[Future[list[Vector]]], return_when: str) -> object:
        return wait(futures)

    monkeypatch.setattr(call_module, "wait", wait_for_all)

    with _calls(_Embedder(), 8, pace=_Notes()) as calls:
        calls.start()
        embedded = calls.collect()

    assert len(embedded) == 8
    assert calls.texts_paid_for == 8


def test_answer_is_refused_when_it_has_fewer_vectors_than_texts() -> None:
    embedder = _Embedder()
    embedder.embed = lambda texts, timeout: [[1.0]]  # type: ignore[method-assign]

    with pytest.raises(ValueError, match="shorter"):
        _run(_calls(embedder, 4))


def test_other_calls_are_collected_when_one_fails() -> None:
    def fail_second(texts: Sequence[str]) -> None:
        if "text 4" in texts:
            raise ProviderFailed

    embedded = _run(calls := _calls(_Embedder(fail_second), 240, at_once=3))

    assert isinstance(calls.failure, ProviderFailed)
    assert calls.are_left
    assert {"text 0", "text 8"} <= {missing.text for missing, _ in embedded}


def test_refused_text_is_closed_in_on_and_named() -> None:
    def refuse(texts: Sequence[str]) -> None:
        if "text 2" in texts:
            raise TextRejected("odd")

    embedder = _Embedder(refuse)
    embedded = _run(calls := _calls(embedder, 8))

    assert isinstance(calls.failure, TextRejected)
    assert calls.failure.message == "GET /2: odd"
    assert [len(call) for call in embedder.calls] == [4, 2, 2, 1]
    assert [missing.text for missing, _ in embedded] == ["text 0", "text 1"]


@pytest.mark.parametrize(("count", "failure"), [(1, TextTooSlow), (4, type(None))])
def test_text_is_too_slow_only_when_it_was_alone_and_had_the_whole_time(count: int, failure: type) -> None:
    def hang(texts: Sequence[str]) -> None:
        raise ProviderTimeout

    _run(calls := _calls(_Embedder(hang), count, seconds=10.0))

    assert type(calls.failure) is failure
    assert calls.are_left == (failure is not TextTooSlow)


def test_single_text_is_left_to_the_next_slice_when_it_had_not_the_whole_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(texts: Sequence[str]) -> None:
        raise ProviderTimeout

    monkeypatch.setattr(Deadline, "is_nearly_whole", lambda self: False)

    _run(calls := _calls(_Embedder(hang), 1, seconds=10.0))

    assert calls.failure is None
    assert calls.are_left


def test_single_text_is_too_slow_when_it_had_the_whole_time_and_nobody_is_there_afterwards() -> None:
    def hang(texts: Sequence[str]) -> None:
        raise ProviderTimeout

    embedder = _Embedder(hang, is_there=False)
    _run(calls := _calls(embedder, 1, seconds=10.0))

    assert isinstance(calls.failure, TextTooSlow)
    assert calls.failure.message == f"GET /0: {TextTooSlow.__doc__}"
    assert embedder.probes == 0, "there is no time left for it"


@pytest.mark.parametrize(("is_there", "failure"), [(True, TextTooSlow), (False, ProviderTimeout)])
def test_single_text_is_to_blame_for_a_time_out_only_when_the_provider_is_there(
    is_there: bool, failure: type[Exception]
) -> None:
    def hang(texts: Sequence[str]) -> None:
        raise ProviderTimeout

    _run(calls := _calls(_Embedder(hang, is_there=is_there), 1))

    assert type(calls.failure) is failure


def test_provider_is_to_blame_when_it_has_not_answered_a_probe_by_the_deadline() -> None:
    answered = threading.Event()

    def hang(texts: Sequence[str]) -> None:
        raise ProviderTimeout

    embedder = _Embedder(hang)
    embedder.probe = answered.wait  # type: ignore[assignment,method-assign]
    limits = CallLimits(target_seconds=5.0, timeout_seconds=0.1)
    _run(calls := Calls(embedder, _warm_pace(1), limits, Deadline(lambda: 1_000), _missing(1)))
    answered.set()

    assert type(calls.failure) is ProviderTimeout


@pytest.mark.parametrize(("seconds", "count"), [(10.0, 1), (10.0, 4), (60.0, 1)])
def test_provider_is_to_blame_when_it_took_no_connection(seconds: float, count: int) -> None:
    def find_nobody(texts: Sequence[str]) -> None:
        raise ProviderUnreached

    _run(calls := _calls(_Embedder(find_nobody), count, seconds=seconds))

    assert type(calls.failure) is ProviderUnreached


def test_no_call_starts_when_none_would_end_in_time() -> None:
    embedder = _Embedder()
    pace = _warm_pace(1)
    pace.measured(1, 5.0, 1)
    pace.next_chunk(["text"], BatchLimits(4, 10_000), under_way=0, time_left=100.0, target_seconds=5.0)
    limits = CallLimits(target_seconds=5.0, timeout_seconds=30.0)

    embedded = _run(calls := Calls(embedder, pace, limits, Deadline(lambda: 2_000), _missing(3)))

    assert (embedded, embedder.calls, calls.are_left) == ([], [], True)


def test_leaving_does_not_wait_when_the_slice_is_broken_off() -> None:
    let_go = threading.Event()
    calls = _calls(_Embedder(lambda texts: let_go.wait(30)), 4)

    with suppress(KeyError), calls:
        calls.start()
        raise KeyError

    assert calls.under_way
    let_go.set()


def test_at_stake_are_a_full_window_and_one_call_when_several_came_back_together() -> None:
    together, meets = threading.Barrier(4), threading.Event()
    meets.set()

    def meet(texts: Sequence[str]) -> None:
        if meets.is_set():
            together.wait(timeout=10)

    calls = _calls(_Embedder(meet), 40, pace=_Notes(calls_in_flight=3))
    with calls:
        calls.start()
        together.wait(timeout=10)
        meets.clear()
        while calls.under_way > 0:
            calls.collect()

        calls.start()
        before_the_write = calls.under_way
        calls.written()
        calls.start()
        after_it = calls.under_way
        calls.stop()
        while calls.under_way > 0:
            calls.collect()

    assert (before_the_write, after_it) == (1, 3)
