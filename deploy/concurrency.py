"""Whether Lambda can reserve what a deploy would, asked before it does."""

from collections.abc import Iterable, Mapping
from typing import Any

from deploy.errors import DeployError

# What Lambda never lets functions reserve.
KEPT_UNRESERVED = 100


def require_concurrency(values: Mapping[str, str], lambda_client: Any, held: int) -> None:
    """Return if the account has the concurrency that parameters ask for. Raises DeployError.

    ``held`` is what the stack reserves already.
    """
    if values["ReserveWorkers"] != "true":
        return
    needed = sum(int(values[name]) for name in ("Workers", "ApiConcurrency", "SearchConcurrency"))
    limits = lambda_client.get_account_settings()["AccountLimit"]
    free = max(0, limits["UnreservedConcurrentExecutions"] + held - KEPT_UNRESERVED)
    if needed > free:
        raise DeployError(
            f"Lambda would refuse this deploy: it reserves a concurrency of {needed}, and {free} can be reserved here,"
            f" since {KEPT_UNRESERVED} of the account's {limits['ConcurrentExecutions']} must stay free. Raise the"
            ' quota "Concurrent executions" (Service Quotas, AWS Lambda), or deploy with ReserveWorkers=false.'
        )


def reserved(lambda_client: Any, functions: Iterable[str]) -> int:
    """Return the concurrency that these functions reserve."""
    answers = [lambda_client.get_function_concurrency(FunctionName=function) for function in functions]
    return sum(answer.get("ReservedConcurrentExecutions", 0) for answer in answers)
