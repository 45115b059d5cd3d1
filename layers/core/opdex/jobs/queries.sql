-- What clients read of jobs.

-- name: embedding_status
-- The counts belong to the revision that the open job brings in; without one, to the current revision.
SELECT s.spec_name,
       CASE WHEN j.open THEN j.revision ELSE s.current_revision END AS revision,
       CASE WHEN j.open THEN j.operation_count ELSE r.operation_count END AS operation_count,
       coalesce(p.operation_count, 0) AS embedding_count,
       CASE WHEN j.status = 'running' THEN j.embedded_so_far END AS embedded_so_far,
       j.id AS job_id, j.status AS job_status, j.attempts AS job_attempts, j.last_error AS job_last_error,
       j.updated_at AS job_updated_at, j.reused, j.slices, j.last_progress_at, j.next_try_at,
       rate.per_second AS rate_per_second,
       CASE WHEN rate.per_second > 0
            THEN greatest(0, (j.operation_count - j.embedded_so_far) / rate.per_second
                             - extract(epoch FROM now() - j.last_progress_at))::float8 END AS eta_seconds
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
LEFT JOIN revisions p ON p.spec_id = s.id AND p.revision = s.published_revision
LEFT JOIN LATERAL (
    SELECT jobs.*, jobs.status IN ('pending', 'running') AS open
    FROM jobs WHERE jobs.spec_id = s.id ORDER BY jobs.id DESC LIMIT 1
) j ON true
LEFT JOIN LATERAL (
    SELECT ((j.embedded_so_far - j.slice_embedded)
            / nullif(extract(epoch FROM j.last_progress_at - j.slice_started_at), 0))::float8 AS per_second
    WHERE j.status = 'running' AND j.last_progress_at > j.slice_started_at AND j.embedded_so_far > j.slice_embedded
) rate ON true
WHERE s.catalog_id = %(catalog_id)s
  AND (%(spec_name)s::text IS NULL OR s.spec_name = %(spec_name)s)
  AND (%(after)s::text IS NULL OR s.spec_name > %(after)s)
ORDER BY s.spec_name LIMIT %(limit)s

-- name: embedding_health
SELECT s.catalog_id, count(*) AS specs_total,
       count(*) FILTER (WHERE s.published_revision = s.current_revision) AS specs_indexed,
       count(*) FILTER (WHERE j.status = 'pending') AS specs_pending,
       count(*) FILTER (WHERE j.status = 'running') AS specs_running,
       count(*) FILTER (WHERE j.status = 'failed') AS specs_failed
FROM specs s
LEFT JOIN LATERAL (SELECT jobs.status FROM jobs WHERE jobs.spec_id = s.id ORDER BY jobs.id DESC LIMIT 1) j ON true
WHERE s.catalog_id = %(catalog_id)s
GROUP BY s.catalog_id

-- name: jobs
SELECT id, catalog_id, spec_name, kind, status, attempts, last_error, error_code, next_try_at, revision,
       operation_count, CASE WHEN status = 'running' THEN embedded_so_far END AS embedded_so_far, reused, slices,
       created_at, started_at, updated_at, completed_at
FROM jobs
WHERE (%(job_id)s::bigint IS NULL OR id = %(job_id)s)
  AND (%(catalog_id)s::text IS NULL OR catalog_id = %(catalog_id)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(spec_name)s::text IS NULL OR spec_name = %(spec_name)s)
  AND (%(before)s::bigint IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s

-- name: events_of_job
-- The newest thousand, oldest first: an answer of a Lambda has a limit.
SELECT at, event, detail
FROM (SELECT * FROM job_events WHERE job_id = %(job_id)s ORDER BY id DESC LIMIT 1000) newest
ORDER BY id

-- name: catalog_exists
SELECT id FROM catalogs WHERE id = %(catalog_id)s
