"""The whole system, deployed to the emulator once for all end-to-end tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.local_run import LocalRun


@pytest.fixture(scope="session")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What endpoint.json says of a system with the template's defaults."""
    with LocalRun(tmp_path_factory.mktemp("running") / "data") as run:
        yield run.endpoint()
