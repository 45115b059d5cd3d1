from opdex.embedding.window import FIRST_PAUSE, CallWindow


def _work(window: CallWindow, calls: int, seconds: float, *, serial: bool, texts: int = 8) -> list[int]:
    """Let calls come back from a provider that works them off one by one, or all at once; returns the sizes seen."""
    sizes = []
    for _ in range(calls):
        at_once = window.size
        sizes.append(at_once)
        window.measured(texts, seconds * (at_once if serial else 1), at_once)
    return sizes


def test_window_opens_to_the_most_when_calls_do_not_slow_each_other_down() -> None:
    assert _work(CallWindow(5), 8, 0.1, serial=False) == [1, 1, 2, 3, 4, 5, 5, 5]


def test_window_stays_nearly_shut_when_the_provider_works_calls_off_one_by_one() -> None:
    sizes = _work(CallWindow(5), 200, 3.7, serial=True)

    assert sizes[:4] == [1, 1, 2, 1]
    assert max(sizes) == 2
    assert sizes.count(2) <= 4, "each try costs a slow call, so tries become rarer"


def test_window_stays_at_one_when_no_more_is_allowed() -> None:
    assert set(_work(CallWindow(1), 50, 0.1, serial=False)) == {1}


def test_window_does_not_open_when_chunks_still_grow() -> None:
    window = CallWindow(5)
    for texts in (1, 4, 16, 32):
        window.measured(texts, 0.1, at_once=1)

    assert window.size == 1


def test_window_closes_when_the_provider_becomes_slow_for_many() -> None:
    window = CallWindow(4)
    _work(window, 10, 0.1, serial=False)
    assert window.size == 4

    _work(window, 3, 0.1, serial=True)

    assert window.size == 1
    assert _work(window, FIRST_PAUSE, 0.1, serial=False)[-1] == 1
