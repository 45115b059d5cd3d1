"""``endpoint.json``: where the running system is, for scripts. It holds secrets, so only its owner may read it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    """What a script needs to reach every part of the running system."""

    url: str
    api_key: str
    database_url: str
    queue_url: str
    aws_endpoint_url: str
    pid: int


@contextmanager
def published(endpoint: Endpoint, path: Path) -> Iterator[None]:
    """Keep the file there, whole and private, for as long as the block runs."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(endpoint), file, indent=2)
    unfinished.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
