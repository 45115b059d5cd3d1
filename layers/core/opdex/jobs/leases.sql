-- What a worker does to the job it holds. Every write is fenced by the lease token.

-- name: expire
WITH lapsed AS (
    SELECT id FROM jobs
    WHERE status = 'running' AND lease_expires_at < now()
    ORDER BY lease_expires_at LIMIT 100
    FOR UPDATE SKIP LOCKED
), taken_back AS (
    UPDATE jobs j SET
        status = CASE WHEN j.attempts < %(max_attempts)s THEN 'pending' ELSE 'failed' END,
        attempts = CASE WHEN j.attempts < %(max_attempts)s THEN greatest(j.attempts, 1) + 1 ELSE j.attempts END,
        ready_at = now(), lease_expires_at = NULL,
        last_error = %(message)s, error_code = %(code)s,
        completed_at = CASE WHEN j.attempts < %(max_attempts)s THEN NULL ELSE now() END,
        next_try_at = CASE WHEN j.attempts < %(max_attempts)s THEN NULL
                           ELSE now() + make_interval(secs => least(86400, 600 * 2 ^ least(20, j.parkings))) END,
        updated_at = now()
    FROM lapsed
    WHERE j.id = lapsed.id
    RETURNING j.id, j.status, j.attempts
), logged AS (
    INSERT INTO job_events (job_id, event, detail)
    SELECT id, 'lease_lost', jsonb_build_object('status', status, 'attempts', attempts) FROM taken_back
)
SELECT count(*)::int AS jobs, count(*) FILTER (WHERE status = 'failed')::int AS failed FROM taken_back;

-- name: claim
-- Its spec is locked with it, so that the job may be published at once; one whose spec is being changed is left alone.
WITH ready AS (
    SELECT j.id, s.current_revision
    FROM jobs j JOIN specs s ON s.id = j.spec_id
    WHERE j.status = 'pending' AND j.ready_at <= now()
      AND NOT EXISTS (SELECT FROM cool_downs WHERE provider = %(provider)s AND until > now())
    ORDER BY j.ready_at, j.id LIMIT 1
    FOR UPDATE OF j SKIP LOCKED FOR NO KEY UPDATE OF s SKIP LOCKED -- noqa: PRS
), claimed AS (
    UPDATE jobs j SET
        status = 'running', attempts = greatest(j.attempts, 1), slices = j.slices + 1,
        lease_token = gen_random_uuid(), lease_expires_at = now() + make_interval(secs => %(lease)s), watch_round = -1,
        started_at = coalesce(j.started_at, now()), slice_started_at = now(), updated_at = now()
    FROM ready
    WHERE j.id = ready.id
    RETURNING j.id AS job_id, j.spec_id, j.lease_token, j.attempts, j.slices, j.idle_slices, j.error_code,
              ready.current_revision AS revision, j.fresh_after, j.correlation_id,
              extract(epoch FROM now() - j.ready_at)::float8 AS waited_seconds
), logged AS (
    INSERT INTO job_events (job_id, event, detail)
    SELECT job_id, 'claimed', jsonb_build_object('attempt', attempts, 'slice', slices) FROM claimed
)
SELECT claimed.*, (
    SELECT r.operation_count FROM revisions r WHERE r.spec_id = claimed.spec_id AND r.revision = claimed.revision
) AS operation_count
FROM claimed, (SELECT pg_advisory_xact_lock_shared('vectors'::regclass::bigint)) no_vector_is_deleted;

-- name: hold_vectors
-- Until the commit no vector is deleted. In a statement of its own, so that the next one sees what was deleted before.
SELECT pg_advisory_xact_lock_shared('vectors'::regclass::bigint);

-- name: publish_ready
-- What misses nothing is claimed and published in one, whatever cools down. A revision that came in this very moment
-- is not seen yet, and left. Vector by vector, which ends at the first that is missing, and whose plan, once made, is
-- right for tables of any size.
WITH ready AS (
    SELECT j.id, j.spec_id, s.current_revision AS revision, j.fresh_after
    FROM jobs j JOIN specs s ON s.id = j.spec_id
    WHERE j.status = 'pending' AND j.ready_at <= now()
    ORDER BY j.ready_at, j.id LIMIT 1
    FOR UPDATE OF j SKIP LOCKED FOR NO KEY UPDATE OF s SKIP LOCKED -- noqa: PRS
), ended AS (
    UPDATE jobs j SET
        status = 'succeeded', attempts = greatest(j.attempts, 1), slices = j.slices + 1,
        last_error = '', error_code = NULL, revision = r.revision, operation_count = r.operation_count,
        reused = CASE WHEN j.planned_revision = r.revision AND j.planned_model_id = %(model_id)s
                      THEN j.reused ELSE r.operation_count END,
        started_at = coalesce(j.started_at, now()), completed_at = now(), updated_at = now()
    FROM ready JOIN revisions r ON r.spec_id = ready.spec_id AND r.revision = ready.revision
    WHERE j.id = ready.id AND NOT EXISTS (
        SELECT FROM operations o
        WHERE o.spec_id = ready.spec_id AND o.revision = ready.revision
          AND (
              SELECT true FROM vectors v
              WHERE v.model_id = %(model_id)s AND v.text_hash = o.text_hash
                AND (ready.fresh_after IS NULL OR v.made_at > ready.fresh_after)
          ) IS NULL
    )
    RETURNING j.id, j.spec_id, j.attempts, j.slices, j.revision, j.operation_count, j.reused, j.correlation_id
), published AS (
    UPDATE specs s SET published_revision = ended.revision, published_model_id = %(model_id)s
    FROM ended WHERE s.id = ended.spec_id
), logged AS (
    INSERT INTO job_events (job_id, event, detail)
    SELECT ended.id, told.event, told.detail
    FROM ended CROSS JOIN LATERAL (VALUES
        ('claimed', jsonb_build_object('attempt', attempts, 'slice', slices)),
        ('published', jsonb_build_object('revision', revision, 'operations', operation_count, 'reused', reused))
    ) AS told (event, detail)
)
SELECT id AS job_id, correlation_id, operation_count AS operations FROM ended;

-- name: next_ready
SELECT id AS job_id, correlation_id FROM jobs
WHERE status = 'pending' AND ready_at <= now()
  AND NOT EXISTS (SELECT FROM cool_downs WHERE provider = %(provider)s AND until > now())
ORDER BY ready_at, id LIMIT 1;

-- name: standing
SELECT s.current_revision AS revision, r.operation_count, j.fresh_after
FROM (SELECT pg_advisory_xact_lock_shared('vectors'::regclass::bigint)) no_vector_is_deleted, jobs j
JOIN specs s ON s.id = j.spec_id
JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
WHERE j.id = %(job_id)s AND j.lease_token = %(lease_token)s AND j.status = 'running';

-- name: missing_texts
SELECT o.text_hash, min(o.text) AS text, count(*)::int AS operations, min(o.method || ' ' || o.path) AS named
FROM operations o
WHERE o.spec_id = %(spec_id)s AND o.revision = %(revision)s
  AND NOT EXISTS (
      SELECT FROM vectors v
      WHERE v.model_id = %(model_id)s AND v.text_hash = o.text_hash
        AND (%(fresh_after)s::timestamptz IS NULL OR v.made_at > %(fresh_after)s)
  )
GROUP BY o.text_hash
ORDER BY min(o.position);

-- name: planned
-- The first count for a revision and model is what was reused.
UPDATE jobs j SET
    revision = %(revision)s, planned_revision = %(revision)s, planned_model_id = %(model_id)s,
    operation_count = %(operation_count)s,
    embedded_so_far = CASE WHEN before THEN greatest(j.embedded_so_far, %(embedded)s) ELSE %(embedded)s END,
    reused = CASE WHEN before THEN j.reused ELSE %(embedded)s END,
    slice_embedded = CASE WHEN before THEN greatest(j.embedded_so_far, %(embedded)s) ELSE %(embedded)s END,
    attempts = greatest(j.attempts, 1), slice_started_at = now(), updated_at = now()
FROM (
    SELECT id, (planned_revision IS NOT DISTINCT FROM %(revision)s
                AND planned_model_id IS NOT DISTINCT FROM %(model_id)s) AS before
    FROM jobs WHERE id = %(job_id)s FOR UPDATE
) locked
WHERE j.id = locked.id AND j.lease_token = %(lease_token)s AND j.status = 'running'
  AND j.fresh_after IS NOT DISTINCT FROM %(fresh_after)s
RETURNING j.id;

-- name: renew
UPDATE jobs SET lease_expires_at = now() + make_interval(secs => %(lease)s)
WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running'
RETURNING id;

-- name: still_held
SELECT id FROM jobs WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running';

-- name: hold_job
-- Waits for nobody: whoever holds the row may wait for what this transaction holds.
SELECT id FROM jobs WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running' FOR UPDATE NOWAIT;

-- name: record_progress
UPDATE jobs SET
    embedded_so_far = greatest(embedded_so_far, %(embedded_so_far)s),
    lease_expires_at = now() + make_interval(secs => %(lease)s),
    idle_slices = 0, held_up_since = NULL, last_error = '', error_code = NULL,
    last_progress_at = now(), updated_at = now()
WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running'
RETURNING id;

-- name: surroundings
-- After the write, which may have waited for an upload: this sees what that has committed.
SELECT s.current_revision, j.fresh_after,
    (SELECT extract(epoch FROM until - now())::float8 FROM cool_downs
     WHERE provider = %(provider)s AND until > now()) AS cool_down_seconds,
    EXISTS(
        SELECT FROM (
            SELECT operation_count - embedded_so_far AS to_do FROM jobs
            WHERE status = 'pending' AND ready_at <= now() ORDER BY ready_at, id LIMIT 100
        ) waiting
        WHERE waiting.to_do < j.operation_count - j.embedded_so_far
    ) AS shorter_waits
FROM jobs j JOIN specs s ON s.id = j.spec_id
WHERE j.id = %(job_id)s AND j.lease_token = %(lease_token)s AND j.status = 'running';

-- name: record_vectors
-- Sorted by key, so that two jobs with the same texts queue up for the rows instead of deadlocking.
INSERT INTO vectors (model_id, text_hash, embedding, made_at)
SELECT %(model_id)s, chunk.text_hash, chunk.embedding::vector, clock_timestamp()
FROM unnest(%(text_hashes)s::bytea[], %(embeddings)s::text[]) AS chunk (text_hash, embedding)
ORDER BY chunk.text_hash
ON CONFLICT (model_id, text_hash) DO UPDATE SET embedding = excluded.embedding, made_at = excluded.made_at
WHERE vectors.made_at <= %(fresh_after)s::timestamptz;

-- name: yield_job
UPDATE jobs SET
    status = 'pending', ready_at = clock_timestamp() + make_interval(secs => %(rest)s), lease_expires_at = NULL,
    idle_slices = idle_slices + CASE WHEN %(idle)s THEN 1 ELSE 0 END, updated_at = now()
WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running'
RETURNING id;

-- name: start_cool_down
-- Workers that run into the same cool-down together add no strike: only a call after its end does.
INSERT INTO cool_downs AS c (provider, until, reason)
VALUES (%(provider)s, now() + make_interval(secs => least(%(longest)s::float8, %(wanted)s)), %(reason)s)
ON CONFLICT (provider) DO UPDATE SET
    strikes = CASE WHEN c.until > now() THEN c.strikes ELSE c.strikes + 1 END,
    until = greatest(c.until, now() + make_interval(secs => least(%(longest)s::float8, greatest(
        %(wanted)s, %(base)s * 2 ^ least(20, CASE WHEN c.until > now() THEN c.strikes - 1 ELSE c.strikes END))))),
    reason = excluded.reason
RETURNING until, extract(epoch FROM until - now())::float8 AS seconds;

-- name: end_cool_down
DELETE FROM cool_downs WHERE provider = %(provider)s AND until <= now();

-- name: hold_up
UPDATE jobs SET
    status = 'pending', ready_at = %(until)s, lease_expires_at = NULL,
    held_up_since = coalesce(held_up_since, now()), last_error = %(message)s, error_code = %(code)s, updated_at = now()
WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running'
  AND (held_up_since IS NULL OR held_up_since > now() - make_interval(secs => %(limit)s))
RETURNING id;

-- name: retry_later
UPDATE jobs SET
    status = 'pending', attempts = greatest(attempts, 1) + 1, idle_slices = 0, held_up_since = NULL,
    ready_at = now() + make_interval(secs => least(300, 2 * 4 ^ greatest(attempts - 1, 0)) * (0.5 + random() / 2)),
    lease_expires_at = NULL, last_error = %(message)s, error_code = %(code)s, updated_at = now()
WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running' AND attempts < %(max_attempts)s
RETURNING attempts, extract(epoch FROM ready_at - now())::float8 AS seconds;

-- name: fail
UPDATE jobs SET
    status = 'failed', lease_expires_at = NULL, last_error = %(message)s, error_code = %(code)s,
    next_try_at = CASE WHEN %(parked)s
                       THEN now() + make_interval(secs => least(86400, 600 * 2 ^ least(20, parkings))) END,
    completed_at = now(), updated_at = now()
WHERE id = %(job_id)s AND lease_token = %(lease_token)s AND status = 'running'
RETURNING next_try_at;

-- name: publish
-- The spec is locked before the job, as uploads and deletes lock them. That no vector is missing was asked before, in
-- this transaction.
WITH spec AS MATERIALIZED (
    SELECT id, current_revision FROM specs WHERE id = %(spec_id)s FOR NO KEY UPDATE
), ended AS (
    UPDATE jobs j SET
        status = 'succeeded', lease_expires_at = NULL, last_error = '', error_code = NULL,
        revision = %(revision)s, operation_count = %(operation_count)s,
        reused = CASE WHEN j.planned_revision = %(revision)s AND j.planned_model_id = %(model_id)s
                      THEN j.reused ELSE %(operation_count)s END,
        completed_at = now(), updated_at = now()
    FROM spec
    WHERE j.id = %(job_id)s AND j.lease_token = %(lease_token)s AND j.status = 'running'
      AND spec.current_revision = %(revision)s AND j.fresh_after IS NOT DISTINCT FROM %(fresh_after)s
    RETURNING j.id, j.spec_id, j.reused
), published AS (
    UPDATE specs s SET published_revision = %(revision)s, published_model_id = %(model_id)s
    FROM ended WHERE s.id = ended.spec_id
), logged AS (
    INSERT INTO job_events (job_id, event, detail)
    SELECT id, 'published',
           jsonb_build_object('revision', %(revision)s, 'operations', %(operation_count)s, 'reused', reused)
    FROM ended
)
SELECT id FROM ended;
