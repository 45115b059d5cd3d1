-- What clients do to jobs: open, upgrade, cancel, try again.

-- name: open
INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, revision, operation_count, fresh_after, parkings,
                  planned_model_id, correlation_id)
SELECT s.id, s.catalog_id, s.spec_name, %(kind)s, s.current_revision, r.operation_count,
       CASE WHEN %(fresh)s THEN clock_timestamp() ELSE earlier.fresh_after END,
       CASE WHEN %(kind)s = 'reconciler' THEN coalesce(earlier.parkings + 1, 0) ELSE 0 END,
       coalesce(%(model_id)s, earlier.planned_model_id), %(correlation_id)s
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
LEFT JOIN jobs earlier ON earlier.id = %(resumes)s
WHERE s.id = %(spec_id)s
ON CONFLICT (spec_id) WHERE status IN ('pending', 'running') DO NOTHING
RETURNING id;

-- name: renew_open
-- A running job keeps its revision and counts: its worker turns to the new ones at its next fenced write. A pending one
-- whose revision has moved on, or which is embedded afresh, begins to count anew.
UPDATE jobs j SET
    attempts = CASE WHEN j.status = 'running' THEN 1 ELSE 0 END,
    idle_slices = 0, held_up_since = NULL, last_error = '', error_code = NULL,
    ready_at = least(j.ready_at, now()),
    fresh_after = CASE WHEN %(fresh)s THEN clock_timestamp() ELSE j.fresh_after END,
    planned_revision = CASE
        WHEN %(fresh)s OR (j.status = 'pending' AND j.planned_revision <> s.current_revision) THEN NULL
        ELSE j.planned_revision END,
    embedded_so_far = CASE
        WHEN j.status = 'pending' AND (%(fresh)s OR j.planned_revision <> s.current_revision) THEN 0
        ELSE j.embedded_so_far END,
    revision = CASE WHEN j.status = 'pending' THEN s.current_revision ELSE j.revision END,
    operation_count = CASE WHEN j.status = 'pending' THEN r.operation_count ELSE j.operation_count END,
    correlation_id = coalesce(%(correlation_id)s, j.correlation_id), updated_at = now()
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
WHERE s.id = %(spec_id)s AND j.spec_id = s.id AND j.status IN ('pending', 'running')
RETURNING j.id;

-- name: unpark
UPDATE jobs SET next_try_at = NULL WHERE spec_id = %(spec_id)s AND next_try_at IS NOT NULL;

-- name: cancel
UPDATE jobs SET status = 'cancelled', lease_expires_at = NULL, next_try_at = NULL,
    completed_at = now(), updated_at = now()
WHERE id = %(job_id)s AND status IN ('pending', 'running')
RETURNING id;

-- name: cancel_of_spec
UPDATE jobs SET status = 'cancelled', lease_expires_at = NULL, next_try_at = NULL,
    completed_at = now(), updated_at = now()
WHERE spec_id = %(spec_id)s AND status IN ('pending', 'running')
RETURNING id;

-- name: cancel_of_catalog
WITH cancelled AS (
    UPDATE jobs j SET status = 'cancelled', lease_expires_at = NULL, next_try_at = NULL,
        completed_at = now(), updated_at = now()
    FROM specs s
    WHERE s.catalog_id = %(catalog_id)s AND j.spec_id = s.id AND j.status IN ('pending', 'running')
    RETURNING j.id
)
INSERT INTO job_events (job_id, event, detail)
SELECT id, 'cancelled', jsonb_build_object('reason', 'catalog deleted') FROM cancelled;

-- name: lock_spec
SELECT s.id FROM specs s WHERE s.catalog_id = %(catalog_id)s AND s.spec_name = %(spec_name)s FOR NO KEY UPDATE;

-- name: lock_spec_by_id
SELECT id FROM specs WHERE id = %(spec_id)s FOR NO KEY UPDATE;

-- name: lock_specs_of_catalog
SELECT s.id FROM specs s WHERE s.catalog_id = %(catalog_id)s ORDER BY s.id FOR NO KEY UPDATE;

-- name: spec_of_job
SELECT spec_id, status FROM jobs WHERE id = %(job_id)s;

-- name: failed_specs_of_catalog
SELECT s.id AS spec_id, newest.id AS job_id FROM specs s
JOIN LATERAL (SELECT j.id, j.status FROM jobs j WHERE j.spec_id = s.id ORDER BY -j.id LIMIT 1) newest ON true
WHERE s.catalog_id = %(catalog_id)s AND newest.status = 'failed'
ORDER BY s.id;
