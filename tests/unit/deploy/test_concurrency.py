"""Whether an account has what a deploy would reserve."""

import pytest

from deploy.concurrency import require_concurrency, reserved
from deploy.errors import DeployError
from tests.unit.deploy.account import Lambda

VALUES = {"ReserveWorkers": "true", "Workers": "3", "ApiConcurrency": "30", "SearchConcurrency": "20"}


@pytest.mark.parametrize(("quota", "unreserved"), [(10, 10), (100, 100), (1000, 152)])
def test_deploy_is_refused_in_plain_words_when_the_account_has_too_little(quota: int, unreserved: int) -> None:
    with pytest.raises(DeployError, match=rf"reserves a concurrency of 53.* of the account's {quota} .*ReserveWorkers"):
        require_concurrency(VALUES, Lambda(quota, unreserved), held=0)


def test_deploy_goes_on_when_the_account_has_just_enough() -> None:
    require_concurrency(VALUES, Lambda(1000, 153), held=0)


def test_deploy_goes_on_when_the_stack_itself_holds_what_it_needs() -> None:
    require_concurrency(VALUES, Lambda(1000, 102), held=51)


def test_deploy_goes_on_when_nothing_is_reserved() -> None:
    require_concurrency({**VALUES, "ReserveWorkers": "false"}, Lambda(10, 10), held=0)


def test_functions_hold_what_they_reserve_when_some_reserve_nothing() -> None:
    assert reserved(Lambda(1000, 948, {"api": 50, "embed": 2}), ["api", "embed", "sweep"]) == 52
