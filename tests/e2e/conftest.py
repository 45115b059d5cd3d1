"""The whole system, deployed to the emulator once for all end-to-end tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.system import started_system


@pytest.fixture(scope="session")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What endpoint.json says of a system with the template's defaults."""
    with started_system(tmp_path_factory.mktemp("running")) as system:
        yield system.endpoint
