"""``python -m local.invoke``: the command behind ``make invoke``. Built functions answer events, without Docker."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from local.answer_receiver import AnswerReceiver
from local.build import BUILT_TEMPLATE, PROJECT, TEMPLATE, building
from local.built_functions import ANY_DATABASE, BuiltFunctions, function_names, function_of, read_event
from local.emulator import Emulator
from local.errors import LocalRunError
from local.lambda_runtime import FunctionError
from local.ports import free_port
from local.postgres import EmbeddedPostgres
from local.scratch import scratch_folder
from local.template import parameter_values, read_template
from opdex.database import Connection
from opdex.http.keys_store import keep_first_admin_key
from opdex.migrations import migrate

_USAGE = "Name an event: make invoke EVENT=events/search_operations.json; several, in quotes, follow each other."


def main(arguments: Sequence[str]) -> int:
    """Answer the events in turn, on one new database; return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended in order, as by Ctrl-C
    try:
        if not arguments:
            raise LocalRunError(_USAGE)
        paths = [Path(argument) for argument in arguments]
        events = [read_event(path) for path in paths]
        _require_functions(paths)
        with building(_say) as wait_for_build, ExitStack() as stack:
            wait_for_build()
            folder = stack.enter_context(scratch_folder(PROJECT))
            environment = stack.enter_context(_surroundings(folder, events))
            receiver = stack.enter_context(AnswerReceiver())
            functions = stack.enter_context(BuiltFunctions(BUILT_TEMPLATE, folder, environment))
            return max([_show(functions, path, receiver) for path in paths])
    except LocalRunError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


def prepare(connection: Connection, events: Sequence[Mapping[str, Any]]) -> None:
    """Store what events speak of in a migrated database: the key that they send, the catalog of their paths."""
    for event in events:
        if key := event.get("headers", {}).get("X-API-Key"):
            keep_first_admin_key(connection, key)
        if catalog := re.search(r"/api-catalogs/([a-z0-9-]+)/", event.get("path", "")):
            connection.execute(
                "INSERT INTO catalogs (id, name, version) VALUES (%(id)s, %(id)s, '1') ON CONFLICT DO NOTHING",
                {"id": catalog[1]},
            )


def _require_functions(paths: Sequence[Path]) -> None:
    # Asked of the source, so that a mistake is told before anything is built.
    template = read_template(TEMPLATE)
    names = function_names(template, parameter_values(template, ANY_DATABASE))
    for path in paths:
        function_of(path, names)


@contextmanager
def _surroundings(folder: Path, events: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    with EmbeddedPostgres(folder / "postgres", durable=False) as postgres, Emulator(free_port(), folder) as emulator:
        with psycopg.connect(postgres.url(), row_factory=dict_row) as connection:
            migrate(connection, PROJECT / "migrations")
            prepare(connection, events)
        queue = emulator.client("sqs").create_queue(QueueName="embed")
        yield {
            "DATABASE_URL": postgres.url(),
            "EMBED_QUEUE_URL": queue["QueueUrl"],
            "AWS_ENDPOINT_URL": emulator.url,
        }


def _show(functions: BuiltFunctions, path: Path, receiver: AnswerReceiver) -> int:
    _say(f"== {path}")
    runtime = functions.runtime(path)
    said_before = len(runtime.log())
    changes = {"ResponseURL": receiver.url} if "ResponseURL" in read_event(path) else {}
    try:
        answer, failed = functions.answer(path, **changes), False
    except FunctionError as error:
        answer, failed = error.payload, True
    _say(runtime.log()[said_before:].rstrip())
    for told in receiver.answers:
        _say(f"told CloudFormation: {json.dumps(told)}")
    receiver.answers.clear()
    print(json.dumps(answer, indent=2, ensure_ascii=False), flush=True)
    return int(failed)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ.get("EVENT", "").split() or sys.argv[1:]))
