-- What the sweep looks for.

-- name: due_parked
SELECT id, spec_id FROM jobs
WHERE next_try_at <= now() AND spec_id IS NOT NULL
ORDER BY next_try_at LIMIT 100;

-- name: gaps
-- A spec, or the one that is asked for, that is not published as it should be, unless its newest job is open or ended
-- in a way that stands: it was cancelled, or failed under this model. A cancelled one that had nothing new to publish
-- says nothing about another model than its own.
SELECT s.id AS spec_id FROM specs s
LEFT JOIN LATERAL (
    SELECT j.status, j.planned_model_id FROM jobs j WHERE j.spec_id = s.id ORDER BY -j.id LIMIT 1
) newest ON true
WHERE (%(spec_id)s::bigint IS NULL OR s.id = %(spec_id)s)
  AND (s.published_revision IS DISTINCT FROM s.current_revision OR s.published_model_id IS DISTINCT FROM %(model_id)s)
  AND (
      newest.status IS NULL OR newest.status = 'succeeded'
      OR (newest.status = 'failed' AND newest.planned_model_id <> %(model_id)s)
      OR (
          newest.status = 'cancelled' AND s.published_revision = s.current_revision
          AND newest.planned_model_id IS DISTINCT FROM %(model_id)s
      )
  )
ORDER BY s.id LIMIT 100;

-- name: lock_spec
-- A statement of its own: the check that follows sees what was committed while this one waited.
SELECT id FROM specs WHERE id = %(spec_id)s FOR NO KEY UPDATE;

-- name: still_parked
SELECT id FROM jobs WHERE id = %(id)s AND spec_id = %(spec_id)s AND next_try_at <= now();

-- name: ready_jobs
SELECT id AS job_id, correlation_id FROM jobs
WHERE status = 'pending' AND ready_at <= now()
  AND NOT EXISTS (SELECT FROM cool_downs WHERE provider = %(provider)s AND until > now())
ORDER BY ready_at, id LIMIT %(limit)s;
