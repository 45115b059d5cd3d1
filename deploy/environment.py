"""An environment, as samconfig.toml has it: one table of its own."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError
from local.build import PROJECT

CONFIGURATION = PROJECT / "samconfig.toml"


@dataclass(frozen=True)
class Environment:
    """What a deploy is told of an environment; ``region`` is None where it is left to the shell."""

    name: str
    stack: str
    parameters: Mapping[str, str]
    region: str | None = None


def configured(path: Path, name: str) -> Environment:
    """Return the environment that a table of samconfig.toml describes. Raises DeployError."""
    tables = tomllib.loads(path.read_text("utf-8")).get(name)
    if tables is None:
        raise DeployError(
            f"There is no [{name}] in {path.name}: copy another table, or have `sam deploy --guided --config-env"
            f" {name}` ask for what it needs."
        )
    settings = {
        name: value
        for command in ("global", "deploy")
        for name, value in tables.get(command, {}).get("parameters", {}).items()
    }
    overrides = settings.get("parameter_overrides", "")
    pairs = overrides.split() if isinstance(overrides, str) else overrides
    assigned = (pair.partition("=") for pair in pairs)
    parameters = {name: value.strip('"') for name, _, value in assigned}
    return Environment(name, settings["stack_name"], parameters, settings.get("region"))
