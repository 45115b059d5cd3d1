"""The service under test: the API function's own handler on a Postgres and a queue of its own."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import psycopg
from moto import mock_aws
from psycopg.rows import dict_row

from local.build import PROJECT
from local.postgres import EmbeddedPostgres
from opdex.http.keys_store import create_key
from opdex.migrations import migrate
from tests.gateway import Gateway

_REGION = "eu-central-1"
# A provider that is away: searches answer by words alone, and nothing leaves the machine.
_NO_PROVIDER = "http://127.0.0.1:9"


@contextmanager
def running_service(folder: Path) -> Iterator[Gateway]:
    """Run the service, its data in ``folder``; yields a gateway to it, with an admin's key. Once a process."""
    with EmbeddedPostgres(folder, durable=False) as server, mock_aws():
        os.environ |= {
            "AWS_DEFAULT_REGION": _REGION,
            "DATABASE_URL": server.url(),
            "EMBED_QUEUE_URL": boto3.client("sqs", region_name=_REGION).create_queue(QueueName="embed")["QueueUrl"],
            "EMBEDDING_PROVIDER": "ollama",
            "EMBEDDING_MODEL": "all-minilm",
            "EMBEDDING_URL": _NO_PROVIDER,
        }
        with psycopg.connect(server.url(), row_factory=dict_row) as connection:
            migrate(connection, PROJECT / "migrations")
            key = create_key(connection, "fuzz", "admin", None).key
            connection.commit()
        yield Gateway(importlib.import_module("functions.api.handler").handler, key=key)
