-- name: backlog
-- A job in its backoff is not what anybody waits for; one that the provider's cool-down keeps waiting is.
SELECT (SELECT count(*) FROM jobs r WHERE r.status = 'running') + count(*) AS open_jobs,
       coalesce(extract(epoch FROM now() - min(ready_at)), 0)::float8 AS oldest_ready_seconds
FROM jobs WHERE status = 'pending' AND ready_at <= now();
