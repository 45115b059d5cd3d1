"""Clients of AWS's services."""

from typing import Any


def client(service: str) -> Any:
    """Return a client that gives up within seconds. The first one of a process loads what all of them need."""
    import botocore.session  # without boto3, whose transfers to S3 would be half of what a cold start loads here
    from botocore.config import Config

    quick = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"})
    return botocore.session.get_session().create_client(service, config=quick)
