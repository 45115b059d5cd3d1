"""The tests' own queue: in the harness's process, served to the workers over loopback, and as bad as a test wants."""

import heapq
import itertools
import json
import random
import select
import socket
import socketserver
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

from opdex.errors import QueueUnavailable
from opdex.jobs.wakeups import WakeUp


@dataclass(frozen=True, slots=True)
class Mood:
    """What happens to messages: shares between 0 and 1."""

    dropped: float = 0.0
    doubled: float = 0.0
    copies: int = 1
    delayed: float = 0.0
    reordered: bool = False
    refuses: bool = False  # says no to whoever sends
    spares: str = "nobody"  # whose messages are not dropped: what the sender's name begins with


CALM = Mood()
LOSES_ALL = Mood(dropped=1.0)


@dataclass(slots=True)
class _Message:
    body: str
    receives: int = 0
    due: float = 0.0  # when it can be seen next


class FaultyQueue:
    """Delivers at least once, or less where its mood says so. A context manager; ``send`` makes it a WakeUps.

    Delays are cut to ``longest_delay``: a receiver that comes too early sends its message again, so that only time is
    scaled. A message that is being handled comes back after ``visibility_seconds``, whatever became of its receiver,
    and is dead once it was received ``most_receives`` times. With each message that finds a worker ``in_vain`` others
    are received too, as by an event source that polls for more invocations than the reserved concurrency allows.
    """

    def __init__(
        self,
        seed: int,
        *,
        longest_delay: float,
        visibility_seconds: float,
        invocation_seconds: float,
        in_vain: int = 0,
        most_receives: int = 100,
    ) -> None:
        self.mood = CALM
        self.invocation_seconds = invocation_seconds
        self.sent = self.lost = self.delivered = 0
        self.sent_by: Counter[str] = Counter()
        self.settled_by: Counter[str] = Counter()  # messages that whoever received them is done with
        self.refused: list[tuple[str, str]] = []  # body and reason of what a handler refused
        self.dead: list[str] = []  # the dead-letter queue
        self._longest_delay = longest_delay
        self._visibility_seconds = visibility_seconds
        self._in_vain = in_vain
        self._most_receives = most_receives
        self._random = random.Random(seed)
        self._lock = threading.Condition()
        self._numbers = itertools.count()
        self._due: list[tuple[float, float, int]] = []  # when, in what order, which receipt
        self._messages: dict[int, _Message] = {}
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

    @property
    def waiting(self) -> list[str]:
        """The messages that were sent and not handled yet."""
        with self._lock:
            return [message.body for message in self._messages.values()]

    def send(self, wake_up: WakeUp, delay_seconds: float = 0) -> None:
        """Send a wake-up from the harness's own process. Raises QueueUnavailable."""
        if not self.put(wake_up.model_dump_json(exclude_none=True), delay_seconds):
            raise QueueUnavailable(cause="scripted")

    def put(self, body: str, delay_seconds: float = 0, sender: str = "clients") -> bool:
        """Take a message, or say that it was not taken. What happens to it then is up to the mood."""
        with self._lock:
            mood, chance = self.mood, self._random.random
            if mood.refuses:
                return False
            self.sent += 1
            self.sent_by[sender] += 1
            if chance() < mood.dropped and not sender.startswith(mood.spares):
                self.lost += 1
                return True
            for _ in range(mood.copies if chance() < mood.doubled else 1):
                delay = min(delay_seconds, self._longest_delay)
                delay += self._longest_delay * chance() if chance() < mood.delayed else 0.0
                self._push(_Message(body), delay)
            return True

    def clear(self) -> None:
        """Lose every message that waits."""
        with self._lock:
            self._due.clear()
            self._messages.clear()

    def receive(self) -> dict[str, Any]:
        """Return the next message that is due; one without a body where none came within half a second."""
        ends_at = time.monotonic() + 0.5
        with self._lock:
            while not self._closed:
                if (received := self._next_due()) is not None:
                    receipt, message = received
                    for _ in range(self._in_vain):
                        self._next_due()
                    self.delivered += 1
                    return {"body": message.body, "receipt": receipt, "seconds": self.invocation_seconds}
                now = time.monotonic()
                if now >= ends_at:
                    break
                self._lock.wait(min(self._due[0][0] if self._due else ends_at, ends_at) - now)
        return {"body": None}

    def settle(
        self, receipt: int, *, receiver: str = "", again_after: float | None = None, refused: str | None = None
    ) -> None:
        """End the handling of a message: it is gone, comes back after so many seconds, or when its visibility ends."""
        with self._lock:
            message = self._messages.get(receipt)
            if refused is not None:
                self.refused.append((message.body if message else "", refused))
            if again_after is None:
                self.settled_by[receiver] += 1
            if message is None or refused is not None:
                return
            if again_after is None:
                del self._messages[receipt]
            else:
                self._show(receipt, time.monotonic() + min(again_after, self._longest_delay))

    def _next_due(self) -> tuple[int, _Message] | None:
        """Receive a message: it is seen again when its visibility ends, if nobody settles it before."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            due, _, receipt = heapq.heappop(self._due)
            message = self._messages.get(receipt)
            if message is None or message.due != due:
                continue  # handled meanwhile, or shown at another time
            message.receives += 1
            if message.receives > self._most_receives:
                self.dead.append(self._messages.pop(receipt).body)
                continue
            self._show(receipt, now + self._visibility_seconds)
            return receipt, message
        return None

    def _push(self, message: _Message, delay: float) -> None:
        receipt = next(self._numbers)
        self._messages[receipt] = message
        self._show(receipt, time.monotonic() + delay)
        self._lock.notify()

    def _show(self, receipt: int, due: float) -> None:
        self._messages[receipt].due = due
        heapq.heappush(self._due, (due, self._random.random() if self.mood.reordered else 0.0, receipt))


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
                received = queue.receive()
                if received["body"] is not None and self._is_gone():
                    queue.settle(received["receipt"], again_after=0)  # nobody has seen it
                return received
            case "send":
                return {"taken": queue.put(asked["body"], asked["delay"], asked["sender"])}
            case "again":
                queue.settle(asked["receipt"], again_after=asked["after"])
            case "refused":
                queue.settle(asked["receipt"], receiver=asked["sender"], refused=asked["reason"])
            case _:
                queue.settle(asked["receipt"], receiver=asked["sender"])
        return {}

    def _is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
