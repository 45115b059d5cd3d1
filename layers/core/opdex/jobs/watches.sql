-- What the message that watches over a job asks and notes.

-- name: waiting
-- Until when there is nothing to do for the job: the end of its lease, of its backoff, or of the cool-down.
SELECT j.status, j.lease_token::text AS lease_token, j.watch_round, j.correlation_id,
       greatest(0, extract(epoch FROM CASE
           WHEN j.status = 'running' THEN j.lease_expires_at
           ELSE greatest(j.ready_at, (SELECT until FROM cool_downs WHERE provider = %(provider)s))
       END - now()))::float8 AS seconds
FROM jobs j
WHERE j.id = %(job_id)s AND j.status IN ('pending', 'running');

-- name: watched
UPDATE jobs SET watch_round = %(round)s
WHERE id = %(job_id)s AND lease_token IS NOT DISTINCT FROM %(lease_token)s AND watch_round < %(round)s;
