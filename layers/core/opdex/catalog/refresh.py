"""The scheduled refresh: the specs whose time has come, one after another, within one pass of the sweep."""

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from opdex.catalog.sources import Sources
from opdex.errors import DatabaseFailed, DatabaseUnavailable, OpdexError
from opdex.jobs.wakeups import WakeUp, WakeUps, sent
from opdex.observability import correlation_id, described, logger

MOST_A_PASS = 100
# A host that takes longer for one document is left alone for the rest of the pass, whatever else is due there.
_SLOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one pass did."""

    refreshed: int = 0
    refreshes_failed: int = 0


def refresh_due(sources: Sources, wake_ups: WakeUps, *, seconds: float) -> Refreshed:
    """Refresh what is due; nothing new begins after so many seconds. Two passes at once do no harm."""
    ends_at = time.monotonic() + seconds
    slow_hosts: list[str] = []
    refreshed = failed = 0
    while refreshed + failed < MOST_A_PASS and time.monotonic() < ends_at:
        fetch = sources.begin_due(slow_hosts)
        if fetch is None:
            break
        began = time.monotonic()
        try:
            upload = sources.carry_out(fetch)
        except (DatabaseUnavailable, DatabaseFailed):
            raise
        except OpdexError as error:
            failed += 1
            logger.info("refresh failed", spec_id=fetch.spec_id, error_code=error.code)
        except Exception as error:  # noqa: BLE001 - its backoff is written already, and the others are due as well
            failed += 1
            logger.error("refresh broke", spec_id=fetch.spec_id, errors=described(error))
        else:
            refreshed += 1
            if upload.job_id is not None:
                sent(wake_ups, WakeUp(job_id=upload.job_id, correlation_id=correlation_id()))
        if time.monotonic() - began > _SLOW_SECONDS:
            slow_hosts.append(urlsplit(fetch.source_url).netloc)
    return Refreshed(refreshed, refreshes_failed=failed)
