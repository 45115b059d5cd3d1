"""Timestamps as clients see them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator

# The database answers in the time zone that it happens to be set to.
Timestamp = Annotated[datetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
