"""The one message that watches over each open job, and outlives every worker."""

from opdex.database import Database
from opdex.errors import DatabaseFailed, DatabaseUnavailable
from opdex.jobs import watches
from opdex.jobs.leases import Claim
from opdex.jobs.wakeups import WakeUp, WakeUps, sent
from opdex.observability import logger

# A lease is looked after just after its end.
_GRACE_SECONDS = 1.0
# A job that is ready when its wake-up looks after it is mostly claimed with that very wake-up.
_NEXT_LOOK_SECONDS = 5.0


class Watch:
    """Sends each job's message on until the job has ended; for one worker.

    It is the newest claim's, and before the first claim the job's own. Of the copies that a queue makes of it one a
    round goes on, or a few that come together. Where a worker died before it could send its claim's, whichever message
    of the job comes next takes its place.
    """

    def __init__(self, database: Database, wake_ups: WakeUps, provider: str) -> None:
        self._database = database
        self._wake_ups = wake_ups
        self._provider = provider

    def begin(self, held: Claim, lease_seconds: float) -> None:
        """Send the message of a claim, for just after its lease."""
        watch = WakeUp(
            kind="lease", job_id=held.job_id, lease_token=str(held.lease_token), correlation_id=held.correlation_id
        )
        self._send(watch, lease_seconds + _GRACE_SECONDS)

    def keep(self, wake_up: WakeUp) -> None:
        """Send a message on, for when there may be something to do for its job.

        To be called before anything is claimed: that may be another job, and take long. Raises DatabaseUnavailable,
        DatabaseFailed.
        """
        with self._database.statement() as connection:
            waiting = watches.waiting(connection, wake_up.job_id, self._provider)
        if waiting is None:
            return
        # A later round than the noted one was sent by a worker that died before it could note it.
        is_the_one = waiting.lease_token == wake_up.lease_token and wake_up.round >= waiting.watch_round
        will_be_claimed = wake_up.kind == "ready" and waiting.status == "pending" and waiting.seconds == 0
        if will_be_claimed or not (is_the_one or waiting.watch_round == watches.UNWATCHED):
            return
        onward = WakeUp(
            kind="lease" if waiting.lease_token else "ready",
            job_id=wake_up.job_id,
            lease_token=waiting.lease_token,
            round=wake_up.round + 1 if is_the_one else waiting.watch_round + 1,
            correlation_id=waiting.correlation_id,
        )
        self._send(onward, max(_NEXT_LOOK_SECONDS, waiting.seconds + _GRACE_SECONDS))

    def _send(self, watch: WakeUp, delay_seconds: float) -> None:
        if not sent(self._wake_ups, watch, delay_seconds):
            return
        try:
            with self._database.statement() as connection:
                watches.watched(connection, watch.job_id, watch.lease_token, watch.round)
        except (DatabaseUnavailable, DatabaseFailed) as error:
            # Copies of it may go on, too: better than none.
            logger.warning("watch not noted", job_id=watch.job_id, cause=error.details.get("cause"))
