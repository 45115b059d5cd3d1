"""Reading a document in a process of its own that may take no more time and memory than is said."""

import multiprocessing
import resource
from multiprocessing.connection import Connection
from pathlib import Path

from opdex.errors import OpdexError
from opdex.openapi import Description, Limits, describe, unpack

# Each process is a copy of one that has imported everything, so that its limits are for the document alone.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])
_STATM = Path("/proc/self/statm")
_GRACE_SECONDS = 30.0  # what a busy machine may need to start a process, on top


class DiedError(AssertionError):
    """The process was ended by one of its limits, or crashed."""


def read_confined(
    raw: bytes,
    *,
    seconds: int,
    extra_bytes: int,
    limits: Limits = Limits(),  # noqa: B008 - it is immutable
) -> Description | OpdexError:
    """Return what the document says, or the error that refuses it. Raises DiedError past a limit."""
    ours, theirs = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_read, args=(theirs, raw, seconds, extra_bytes, limits), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds + _GRACE_SECONDS):
            raise DiedError("It does not end.")
        outcome: Description | OpdexError | BaseException = ours.recv()
    except EOFError:
        process.join()
        raise DiedError(f"It ended with {process.exitcode}.") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if isinstance(outcome, Description | OpdexError):
        return outcome
    raise DiedError(repr(outcome))


def _read(pipe: Connection, raw: bytes, seconds: int, extra_bytes: int, limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if _STATM.exists():
        mapped = int(_STATM.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + extra_bytes, mapped + extra_bytes))
    try:
        outcome: object = describe(unpack(raw, limits.max_bytes), limits)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
        outcome = error
    pipe.send(outcome)
