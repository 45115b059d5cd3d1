"""The whole system on this machine: started in order, watched, and ended in the opposite order."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

import httpx

from local.build import BUILT_TEMPLATE, building
from local.deployment import Deployment, deploy, invoke, start
from local.emulator import Emulator
from local.endpoint import Endpoint, published
from local.errors import LocalRunError
from local.postgres import EmbeddedPostgres

_ANSWER_SECONDS = 60.0
# Documents that this machine serves itself may be put in by their URL.
LOCAL_VARIABLES = {"FETCH_LOOPBACK": "true"}


@dataclass(frozen=True)
class Options:
    """What the user chose. ``parameters`` are the template's, by variable name."""

    port: int
    data_folder: Path
    parameters: Mapping[str, str]
    function_variables: Mapping[str, str]


class System:
    """A system that runs: its endpoint, and the processes to watch."""

    def __init__(self, endpoint: Endpoint, postgres: EmbeddedPostgres, emulator: Emulator) -> None:
        self.endpoint = endpoint
        self._postgres = postgres
        self._emulator = emulator

    def watch(self) -> None:
        """Start Postgres again where it has died. Raises LocalRunError where the emulator has."""
        if self._postgres.pid is None:
            self._postgres.start()
        if not self._emulator.is_running():
            raise LocalRunError(f"The AWS emulator has ended: start again, and see {self._emulator.log}.")


@contextmanager
def running(options: Options, say: Callable[[str], None]) -> Iterator[System]:
    """Run the system for the block, telling each step to ``say``. Raises LocalRunError."""
    folder = options.data_folder
    with ExitStack() as stack:
        stack.enter_context(_held(folder))
        (folder / "endpoint.json").unlink(missing_ok=True)  # a killed run's
        emulator = Emulator(options.port, folder, {**LOCAL_VARIABLES, **options.function_variables})
        emulator.require_free_port()  # the likeliest mistake is told before anything is started
        with building(say) as wait_for_build:
            say("Starting Postgres and the AWS emulator")
            postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
            stack.enter_context(emulator)
            say("Building the functions and layers, where something changed")
            wait_for_build()
            say("Deploying the template, and migrating the database")
            deployment = deploy(emulator, BUILT_TEMPLATE, postgres.url(), options.parameters)
        api_key = _keep_api_key(emulator, deployment, folder / "api-key")
        say("Waiting for the first answer")
        _wait_for_answer(deployment.url)
        start(emulator, deployment.outputs["SweepFunctionName"])  # work that an earlier run left goes on at once
        endpoint = Endpoint(
            url=deployment.url,
            api_key=api_key,
            database_url=postgres.url(),
            queue_url=deployment.outputs["EmbedQueueUrl"],
            aws_endpoint_url=emulator.url,
            pid=os.getpid(),
        )
        stack.enter_context(published(endpoint, folder / "endpoint.json"))
        yield System(endpoint, postgres, emulator)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise LocalRunError(f"DATA_DIR {folder} cannot be used ({error.strerror}): choose another.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise LocalRunError(
                f"DATA_DIR {folder} is in use by process {lock.read()}: stop that, or choose another."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _keep_api_key(emulator: Emulator, deployment: Deployment, path: Path) -> str:
    # The stack is new at each run, and so is the key that it generated; the user's should not be.
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(token_urlsafe(30))
    key = path.read_text()
    emulator.client("secretsmanager").put_secret_value(
        SecretId=deployment.outputs["AdminKeySecretArn"], SecretString=key
    )
    invoke(emulator, deployment.outputs["MigrateFunctionName"], {})
    return key


def _wait_for_answer(url: str) -> None:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            answer = httpx.get(f"{url}/healthz", timeout=_ANSWER_SECONDS)
        except httpx.TransportError as error:
            said = str(error)
        else:
            if answer.is_success:
                return
            said = f"{answer.status_code} {answer.text[:300]}"
        if time.monotonic() > deadline:
            raise LocalRunError(f"The API does not answer at {url}/healthz: {said}")
        time.sleep(0.2)
