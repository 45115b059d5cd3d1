"""What can happen in a run, and how often: drawn from one seed."""

import random
from collections.abc import Iterator

from tests.faults.queue import CALM, LOSES_ALL, Mood
from tests.ollama_server import Failure

# How often each act of the harness is drawn; its method has the same name.
WEIGHTS = {
    # what clients do
    "upload": 20.0,
    "upload_twins": 2.0,
    "cancel": 0.7,
    "reembed": 1.5,
    "retry_failed": 1.0,
    "delete_spec": 0.7,
    "delete_catalog": 0.15,
    # what happens to workers
    "kill": 16.0,
    "freeze": 1.5,
    # to the database
    "cut_connections": 1.5,
    "kill_postgres": 0.15,
    "restart_postgres": 0.15,
    "hold_lock": 1.0,
    # to the provider
    "fail_calls": 3.0,
    "provider_away": 0.5,
    "provider_slow": 1.0,
    # to the queue
    "change_mood": 3.0,
    "junk_message": 0.5,
    # repair, and the time that it waits for
    "sweep": 4.0,
    "two_sweeps": 1.0,
    "killed_sweep": 1.0,
    "pass_time": 1.0,
    "age_everything": 1.0,  # and let a sweep drop what is old then
}

_MOODS = (
    *(CALM,) * 5,
    LOSES_ALL,
    Mood(dropped=0.3),
    Mood(doubled=1.0, copies=10),
    Mood(doubled=0.5, copies=2, delayed=0.3),
    Mood(delayed=0.5, reordered=True),
    Mood(refuses=True),
)

_FAILURES = (
    Failure("status", 429),
    Failure("status", 429, retry_after="1"),
    Failure("status", 500),
    Failure("status", 503),
    Failure("status", 503, retry_after="1"),
    Failure("hang", seconds=3.0),
    Failure("hang", seconds=3.0, headers_first=True),
    Failure("cut"),
    Failure("cut", headers_first=True),
    Failure("wrong_count"),
    Failure("wrong_dimension"),
    Failure("nan"),
    Failure("zero"),
)

_AWAY = (Failure("status", 503), Failure("status", 429), Failure("status", 429, retry_after="1"), Failure("cut"))


class Dice:
    """Draws everything that a run leaves to chance. The same seed draws the same, in the same order."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)

    def acts(self) -> Iterator[str]:
        """Yield what happens next, without end."""
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        while True:
            yield self.random.choices(names, weights)[0]

    def mood(self) -> Mood:
        return self.random.choice(_MOODS)

    def failures(self) -> list[Failure]:
        return self.random.choices(_FAILURES, k=self.random.randint(1, 4))

    def outage(self) -> Failure:
        return self.random.choice(_AWAY)

    def seconds(self, least: float, most: float) -> float:
        return self.random.uniform(least, most)
