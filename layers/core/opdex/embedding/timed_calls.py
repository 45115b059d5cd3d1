"""Calls that are over in time whatever they wait for: name servers, a secret, a server that trickles."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread

from opdex.errors import ProviderTimeout, ProviderUnreached

# What ends by itself says better what was wrong; most of what is late ends by a time limit of its own.
_GRACE_SECONDS = 0.1
# A call that is given up may hang on for as long as a resolver does. More of them would only pile up.
_MOST_LEFT_BEHIND = 2


class TimedCalls:
    """Runs calls, each on a thread of its own that nothing waits for at the end. May be used from several threads."""

    def __init__(self) -> None:
        self._left_behind: set[Future[object]] = set()

    def run(self, call: Callable[[], object], seconds: float, give_up: Callable[[], None]) -> object:
        """Return what the call returns, or raise what it raises.

        Where it takes longer, ``give_up`` is to make it end soon, and ProviderTimeout is raised at once. Raises
        ProviderUnreached, and begins nothing, while too many of those have not ended.
        """
        if len(self._left_behind) >= _MOST_LEFT_BEHIND:
            raise ProviderUnreached(
                "The embedding provider was not asked: earlier calls to it were given up and have not ended yet."
            )
        outcome: Future[object] = Future()

        def work() -> None:
            try:
                outcome.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised where the outcome is asked for
                outcome.set_exception(error)

        # A pool's threads are waited for when the process ends; a daemon is not.
        Thread(target=work, name="provider-call", daemon=True).start()
        wait([outcome], seconds + _GRACE_SECONDS)
        if outcome.done():
            return outcome.result()
        self._left_behind.add(outcome)
        outcome.add_done_callback(self._left_behind.discard)
        give_up()
        raise ProviderTimeout
