"""The tests' own queue: in the harness's process, served to the workers over loopback, and as bad as a test wants."""

import heapq
import itertools
import json
import random
import socketserver
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from opdex.errors import QueueUnavailable
from opdex.jobs.wakeups import WakeUp

# A queue that copies the messages that are sent again for their copies would grow without end.
_MOST_MESSAGES = 300


@dataclass(frozen=True, slots=True)
class Mood:
    """What happens to messages: shares between 0 and 1."""

    dropped: float = 0.0
    doubled: float = 0.0
    copies: int = 1
    delayed: float = 0.0
    reordered: bool = False
    refuses: bool = False  # says no to whoever sends


CALM = Mood()
LOSES_ALL = Mood(dropped=1.0)


class FaultyQueue:
    """Delivers at least once, or less where its mood says so. A context manager; ``send`` makes it a WakeUps.

    Delays are cut to ``longest_delay``: a receiver that comes too early sends its message again, so that only time is
    scaled. A message that is being handled comes back after ``visibility_seconds``, whatever became of its receiver.
    """

    def __init__(
        self, seed: int, *, longest_delay: float, visibility_seconds: float, invocation_seconds: float
    ) -> None:
        self.mood = CALM
        self.invocation_seconds = invocation_seconds
        self.sent = self.lost = self.delivered = 0
        self.refused: list[tuple[str, str]] = []  # body and reason of what a handler refused
        self._longest_delay = longest_delay
        self._visibility_seconds = visibility_seconds
        self._random = random.Random(seed)
        self._lock = threading.Condition()
        self._numbers = itertools.count()
        self._due: list[tuple[float, float, int]] = []  # when, in what order, which receipt
        self._bodies: dict[int, str] = {}
        self._closed = False
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.queue = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="queue")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where workers reach it."""
        return int(self._server.server_address[1])

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        """Send a wake-up from the harness's own process. Raises QueueUnavailable."""
        if not self.put(wake_up.model_dump_json(exclude_none=True), delay_seconds):
            raise QueueUnavailable(cause="scripted")

    def put(self, body: str, delay_seconds: float = 0) -> bool:
        """Take a message, or say that it was not taken. What happens to it then is up to the mood."""
        with self._lock:
            mood, chance = self.mood, self._random.random
            if mood.refuses:
                return False
            self.sent += 1
            if chance() < mood.dropped:
                self.lost += 1
                return True
            copies = mood.copies if chance() < mood.doubled and len(self._bodies) < _MOST_MESSAGES else 1
            for _ in range(copies):
                delay = min(delay_seconds, self._longest_delay)
                delay += self._longest_delay * chance() if chance() < mood.delayed else 0.0
                self._push(body, delay)
            return True

    def receive(self) -> dict[str, Any]:
        """Return the next message that is due; one without a body where none came within half a second."""
        ends_at = time.monotonic() + 0.5
        with self._lock:
            while not self._closed:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    _, _, receipt = heapq.heappop(self._due)
                    body = self._bodies.get(receipt)
                    if body is None:
                        continue  # handled before its visibility ran out
                    heapq.heappush(self._due, (now + self._visibility_seconds, 0.0, receipt))
                    self.delivered += 1
                    return {"body": body, "receipt": receipt, "seconds": self.invocation_seconds}
                if now >= ends_at:
                    break
                self._lock.wait(min(self._due[0][0] if self._due else ends_at, ends_at) - now)
        return {"body": None}

    def settle(self, receipt: int, *, again_after: float | None = None, refused: str | None = None) -> None:
        """End the handling of a message: it is gone, comes back after so many seconds, or when its visibility ends."""
        with self._lock:
            body = self._bodies.get(receipt)
            if body is None:
                return
            if refused is not None:
                self.refused.append((body, refused))
                return
            del self._bodies[receipt]
            if again_after is not None:
                self._push(body, min(again_after, self._longest_delay))

    def _push(self, body: str, delay: float) -> None:
        receipt = next(self._numbers)
        self._bodies[receipt] = body
        order = self._random.random() if self.mood.reordered else 0.0
        heapq.heappush(self._due, (time.monotonic() + delay, order, receipt))
        self._lock.notify()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    queue: FaultyQueue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a worker that vanishes is what this is for."""


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            asked = json.loads(line)
            self.wfile.write(json.dumps(self._answer(asked)).encode() + b"\n")

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        queue = self.server.queue
        match asked["act"]:
            case "receive":
                return queue.receive()
            case "send":
                return {"taken": queue.put(asked["body"], asked["delay"])}
            case "again":
                queue.settle(asked["receipt"], again_after=asked["after"])
            case "refused":
                queue.settle(asked["receipt"], refused=asked["reason"])
            case _:
                queue.settle(asked["receipt"])
        return {}
