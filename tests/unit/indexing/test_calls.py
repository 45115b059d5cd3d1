import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from opdex.embedding import BatchLimits, ModelIdentity, Pace, Vector
from opdex.errors import ProviderFailed, ProviderTimeout, TextRejected, TextTooSlow
from opdex.indexing.calls import CallLimits, Calls, Embedded
from opdex.indexing.deadline import Deadline
from opdex.jobs.leases import MissingText


class _Embedder:
    provider, model, calls_in_flight = "stub", "stub", 3
    identity = ModelIdentity(provider, model)
    batch_limits = BatchLimits(4, 10_000)

    def __init__(self, act: Callable[[Sequence[str]], object] = lambda texts: None) -> None:
        self.act = act
        self.calls: list[list[str]] = []

    def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        self.calls.append(list(texts))
        self.act(texts)
        return [[1.0] for _ in texts]

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0] for _ in texts]

    def probe(self) -> None:
        pass


def _missing(count: int) -> list[MissingText]:
    return [MissingText(bytes([number]) * 32, f"text {number}", 1, f"GET /{number}") for number in range(count)]


def _warm_pace(at_once: int) -> Pace:
    """Return the pace of a process that has seen calls of four texts not slow each other down."""
    pace = Pace(BatchLimits(4, 10_000), at_once)
    for size in (1, 1, *range(2, at_once + 1)):
        pace.measured(4, 0.01, size)
    return pace


def _calls(embedder: _Embedder, count: int, *, at_once: int = 1, seconds: float = 60.0) -> Calls:
    limits = CallLimits(target_seconds=5.0, timeout_seconds=30.0)
    return Calls(embedder, _warm_pace(at_once), limits, Deadline(lambda: int(seconds * 1000)), _missing(count))


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


def test_as_many_calls_are_under_way_as_the_window_allows() -> None:
    meet = threading.Barrier(3, timeout=10)

    embedded = _run(_calls(_Embedder(lambda texts: meet.wait()), 12, at_once=3))

    assert len(embedded) == 12


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

    limits = CallLimits(target_seconds=5.0, timeout_seconds=30.0)
    calls = Calls(
        _Embedder(meet), _ThreeAtOnce(BatchLimits(4, 10_000), 3), limits, Deadline(lambda: 60_000), _missing(40)
    )
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


class _ThreeAtOnce(Pace):
    """Allows three calls whatever they take."""

    def allows_another(self, under_way: int) -> bool:
        return under_way < 3
