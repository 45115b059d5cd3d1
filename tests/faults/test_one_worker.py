"""A hundred jobs at once on the deployed stack with one worker, whose reserved concurrency is 1."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import psycopg

from tests.e2e.system import System, document, started_system
from tests.integration.engine import wait_until
from tests.ollama_server import OllamaServer

_JOBS = 100
_MALFORMED = "no JSON"
_STATES = "SELECT status, attempts, count(*) FROM jobs GROUP BY 1, 2"


def _client(system: System, service: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=system.endpoint["aws_endpoint_url"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_no_job_is_harmed_and_only_what_nobody_can_read_is_dead_when_a_hundred_meet_one_worker(tmp_path: Path) -> None:
    with OllamaServer(base_seconds=0.02) as provider:
        options = ("--embedding-provider=ollama", f"--embedding-url={provider.url}")
        with started_system(tmp_path, *options) as system:
            sqs, logs = _client(system, "sqs"), _client(system, "logs")
            (queue,) = sqs.list_queues(QueueNamePrefix="opdex-EmbedQueue")["QueueUrls"]
            (dead_letters,) = sqs.list_queues(QueueNamePrefix="opdex-EmbedDeadLetterQueue")["QueueUrls"]
            system.create_catalog("many")
            with ThreadPoolExecutor(8) as clients:
                list(clients.map(lambda n: system.upload("many", f"spec-{n}", document(f"kind{n}", 4)), range(_JOBS)))
            sqs.send_message(QueueUrl=queue, MessageBody=_MALFORMED)

            with psycopg.connect(system.endpoint["database_url"], autocommit=True) as c:
                wait_until(lambda: c.execute(_STATES).fetchall() == [("succeeded", 1, _JOBS)], 90)

            dead: list[str] = []

            def has_died() -> bool:
                received = sqs.receive_message(QueueUrl=dead_letters, MaxNumberOfMessages=10, WaitTimeSeconds=1)
                dead.extend(message["Body"] for message in received.get("Messages", []))
                return bool(dead)

            wait_until(has_died, 60)
            assert dead == [_MALFORMED]
            (group,) = [
                group["logGroupName"]
                for group in logs.describe_log_groups()["logGroups"]
                if group["logGroupName"].endswith("/embed")
            ]
            reasons = logs.filter_log_events(logGroupName=group, filterPattern="malformed_wake_up")["events"]
            assert reasons
        assert len(provider.texts) == len(set(provider.texts)) == 4 * _JOBS
