"""CloudFormation's custom resource protocol: do the work of a deploy, then say how it went."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

# One resource, whatever it last did: a changed id would make CloudFormation delete the old one.
_PHYSICAL_ID = "migrations"
_REASON_CHARACTERS = 500  # the whole answer may have 4096 bytes, and one character six
_ANSWER_TRIES = 3


def is_request(event: dict[str, Any]) -> bool:
    """Tell whether CloudFormation sent ``event`` and waits for an answer."""
    return "ResponseURL" in event


def fulfil(event: dict[str, Any], work: Callable[[], object]) -> None:
    """Do ``work`` for a create or an update, nothing for a delete, and answer; a failure rolls the deploy back."""
    try:
        if event["RequestType"] != "Delete":  # a stack can be deleted when its database is gone
            work()
    except Exception as error:
        _answer(event, "FAILED", f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS])
        raise
    _answer(event, "SUCCESS", "")


def _answer(event: dict[str, Any], status: str, reason: str) -> None:
    body = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": _PHYSICAL_ID,
        **{field: event[field] for field in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The address is presigned for an empty content type; urllib would add one of its own.
    request = urllib.request.Request(  # noqa: S310  CloudFormation's own address
        event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT"
    )
    for tries_left in reversed(range(_ANSWER_TRIES)):  # a deploy waits long for an answer that got lost
        try:
            urllib.request.urlopen(request, timeout=30).close()  # nosec B310  # noqa: S310  the same
        except OSError:
            if tries_left == 0:
                raise
        else:
            return
