import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from opdex.embedding.timed_calls import TimedCalls
from opdex.errors import ProviderTimeout, ProviderUnreached

_LEAVES_ONE_BEHIND = """
import time
from opdex.embedding.timed_calls import TimedCalls
from opdex.errors import ProviderTimeout
try:
    TimedCalls().run(lambda: time.sleep(3600), 0, lambda: None)
except ProviderTimeout:
    print("gave up")
"""


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """What the calls of a test wait for; set at its end."""
    event = threading.Event()
    yield event
    event.set()


def nothing() -> None:
    """Do nothing to end a call."""


def test_outcome_is_that_of_the_call_when_it_is_over_in_time() -> None:
    def fail() -> object:
        raise KeyError("odd")

    calls = TimedCalls()
    assert calls.run(lambda: 7, 10, nothing) == 7
    with pytest.raises(KeyError, match="odd"):
        calls.run(fail, 10, nothing)


def test_call_is_given_up_when_it_takes_longer(let_go: threading.Event) -> None:
    given_up = []
    with pytest.raises(ProviderTimeout):
        TimedCalls().run(lambda: let_go.wait(30), 0, lambda: given_up.append(let_go.is_set()))
    assert given_up == [False]


def test_no_more_are_begun_until_one_has_ended_when_two_are_left_behind() -> None:
    calls, threads = TimedCalls(), []
    ends = [threading.Event(), threading.Event()]

    def hang(end: threading.Event) -> object:
        threads.append(threading.current_thread())
        return end.wait(30)

    for end in ends:
        with pytest.raises(ProviderTimeout):
            calls.run(partial(hang, end), 0, nothing)
    begun: list[int] = []

    with pytest.raises(ProviderUnreached, match="earlier calls to it were given up"):
        calls.run(lambda: begun.append(1), 10, nothing)
    assert begun == []

    ends[0].set()
    threads[0].join()
    assert calls.run(lambda: "again", 10, nothing) == "again"
    ends[1].set()


def test_process_ends_when_a_call_is_left_behind() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _LEAVES_ONE_BEHIND],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "gave up\n"
