-- What clients read of jobs.

-- name: embedding_status
-- The counts belong to the revision that the open job brings in; without one, to the current revision.
SELECT s.spec_name,
       CASE WHEN j.open THEN j.revision ELSE s.current_revision END AS revision,
       CASE WHEN j.open THEN j.operation_count ELSE (
           SELECT operation_count FROM revisions WHERE spec_id = s.id AND revision = s.current_revision
       ) END AS operation_count,
       coalesce((
           SELECT operation_count FROM revisions WHERE spec_id = s.id AND revision = s.published_revision
       ), 0) AS embedding_count,
       CASE WHEN j.status = 'running' THEN j.embedded_so_far END AS embedded_so_far,
       j.id AS job_id, j.status AS job_status, j.attempts AS job_attempts, j.last_error AS job_last_error,
       j.updated_at AS job_updated_at, j.reused, j.slices, j.last_progress_at, j.next_try_at,
       rate.per_second AS rate_per_second,
       CASE WHEN rate.per_second > 0
            THEN greatest(0, (j.operation_count - j.embedded_so_far) / rate.per_second
                             - extract(epoch FROM now() - j.last_progress_at))::float8 END AS eta_seconds
FROM specs s
LEFT JOIN LATERAL (
    SELECT jobs.*, jobs.status IN ('pending', 'running') AS open
    FROM jobs WHERE jobs.spec_id = s.id ORDER BY -jobs.id LIMIT 1
) j ON true
LEFT JOIN LATERAL (
    SELECT ((j.embedded_so_far - j.slice_embedded)
            / nullif(extract(epoch FROM j.last_progress_at - j.slice_started_at), 0))::float8 AS per_second
    WHERE j.status = 'running' AND j.last_progress_at > j.slice_started_at AND j.embedded_so_far > j.slice_embedded
) rate ON true
WHERE s.catalog_id = %(catalog_id)s
  AND (%(spec_name)s::text IS NULL OR s.spec_name = %(spec_name)s)
  AND (%(after)s::text IS NULL OR s.spec_name > %(after)s)
ORDER BY s.spec_name LIMIT %(limit)s;

-- name: embedding_health
SELECT s.catalog_id, count(*) AS specs_total,
       count(*) FILTER (WHERE s.published_revision = s.current_revision) AS specs_indexed,
       count(*) FILTER (WHERE j.status = 'pending') AS specs_pending,
       count(*) FILTER (WHERE j.status = 'running') AS specs_running,
       count(*) FILTER (WHERE j.status = 'failed') AS specs_failed
FROM specs s
LEFT JOIN LATERAL (SELECT jobs.status FROM jobs WHERE jobs.spec_id = s.id ORDER BY -jobs.id LIMIT 1) j ON true
WHERE s.catalog_id = %(catalog_id)s
GROUP BY s.catalog_id;

-- name: job
SELECT * FROM jobs WHERE id = %(job_id)s;

-- name: jobs_of_catalog
-- Each status has a stretch of the index jobs_by_catalog, which is by -id; the newest of each are merged.
SELECT newest.*
FROM unnest(%(statuses)s::text[]) AS wanted (status)
CROSS JOIN LATERAL (
    SELECT * FROM jobs
    WHERE catalog_id = %(catalog_id)s AND status = wanted.status AND -id > -%(before)s::bigint
    ORDER BY -id LIMIT %(limit)s
) newest
ORDER BY id DESC LIMIT %(limit)s;

-- name: jobs_of_spec
-- Those of the spec that has the name, by jobs_by_spec, and of deleted ones that had it.
SELECT * FROM (
    (
        SELECT * FROM jobs
        WHERE spec_id = (SELECT id FROM specs WHERE catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s)
          AND status = ANY(%(statuses)s) AND -id > -%(before)s::bigint
        ORDER BY -id LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT * FROM jobs
        WHERE spec_id IS NULL AND catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s
          AND status = ANY(%(statuses)s) AND id < %(before)s
        ORDER BY id DESC LIMIT %(limit)s
    )
) newest
ORDER BY id DESC LIMIT %(limit)s;

-- name: events_of_job
-- The newest thousand, oldest first: an answer of a Lambda has a limit.
SELECT at, event, detail
FROM (SELECT * FROM job_events WHERE job_id = %(job_id)s ORDER BY id DESC LIMIT 1000) newest
ORDER BY id;

-- name: catalog_exists
SELECT id FROM catalogs WHERE id = %(catalog_id)s;
