"""What samconfig.toml says of an environment."""

from pathlib import Path

import pytest

from deploy.environment import CONFIGURATION, Environment, configured
from deploy.errors import DeployError


@pytest.mark.parametrize("overrides", ['"Workers=3 LogLevel=DEBUG"', '["Workers=3", "LogLevel=DEBUG"]'])
def test_parameters_are_read_when_samconfig_has_them_in_either_form(tmp_path: Path, overrides: str) -> None:
    path = tmp_path / "samconfig.toml"
    path.write_text(
        '[test.global.parameters]\nstack_name = "opdex-test"\n'
        f'[test.deploy.parameters]\nregion = "eu-west-1"\nparameter_overrides = {overrides}'
    )
    parameters = {"Workers": "3", "LogLevel": "DEBUG"}
    assert configured(path, "test") == Environment("test", "opdex-test", parameters, "eu-west-1")


@pytest.mark.parametrize(("name", "stack"), [("default", "opdex"), ("production", "opdex-production")])
def test_environment_is_known_when_the_projects_samconfig_has_it(name: str, stack: str) -> None:
    environment = configured(CONFIGURATION, name)
    assert (environment.name, environment.stack, environment.region) == (name, stack, None)


def test_environment_is_refused_when_samconfig_has_it_not() -> None:
    with pytest.raises(DeployError, match=r"no \[moon\] in samconfig.toml: .* --guided --config-env moon"):
        configured(CONFIGURATION, "moon")
