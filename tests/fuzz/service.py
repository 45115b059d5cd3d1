"""The service under test: the functions' own handlers on a Postgres and a queue of their own."""

import importlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import boto3
import psycopg
from moto import mock_aws
from psycopg.rows import dict_row

from local.build import PROJECT
from local.postgres import EmbeddedPostgres
from opdex.http.keys_store import create_key
from opdex.migrations import migrate
from opdex.observability import logger
from tests.gateway import Gateway, leading_to

_REGION: Final = "eu-central-1"
# A provider that is away: searches answer by words alone, and nothing leaves the machine.
_NO_PROVIDER: Final = "http://127.0.0.1:9"
_THIS_MACHINE: Final = (None, "127.0.0.1", "localhost", "::1")
_getaddrinfo, _create_connection = socket.getaddrinfo, socket.create_connection


def _resolve(host: str | bytes | None, *arguments: Any, **options: Any) -> list[Any]:
    if host not in _THIS_MACHINE:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _getaddrinfo(host, *arguments, **options)


def _connect(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
    if address[0] not in _THIS_MACHINE:
        raise ConnectionRefusedError(f"there is no way to {address[0]} in tests")
    return _create_connection(address, *arguments, **options)


@contextmanager
def _no_way_out() -> Iterator[None]:
    # What chance writes as a URL must not be asked for anything.
    with mock.patch("socket.getaddrinfo", _resolve), mock.patch("socket.create_connection", _connect):
        yield


@contextmanager
def running_service(folder: Path) -> Iterator[Gateway]:
    """Run the service, its data in ``folder``; yields a gateway to it, with an admin's key. Once a process."""
    logger.setLevel("ERROR")  # what an answer of 500 hides is printed, and nothing else
    with EmbeddedPostgres(folder, durable=False) as server, mock_aws(), _no_way_out():
        os.environ |= {
            "AWS_DEFAULT_REGION": _REGION,
            "DATABASE_URL": server.url(),
            "EMBED_QUEUE_URL": boto3.client("sqs", region_name=_REGION).create_queue(QueueName="embed")["QueueUrl"],
            "EMBEDDING_PROVIDER": "ollama",
            "EMBEDDING_MODEL": "all-minilm",
            "EMBEDDING_URL": _NO_PROVIDER,
            "POWERTOOLS_METRICS_DISABLED": "true",
        }
        with psycopg.connect(server.url(), row_factory=dict_row) as connection:
            migrate(connection, PROJECT / "migrations")
            key = create_key(connection, "fuzz", "admin", None).key
            connection.commit()
        folders = {"ApiFunction": "api", "SearchFunction": "search"}
        functions = {
            name: importlib.import_module(f"functions.{folder}.handler").handler for name, folder in folders.items()
        }
        yield Gateway(leading_to(functions), key=key)
