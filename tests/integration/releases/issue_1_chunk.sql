-- What a worker of the first release (tag issue-1) writes at the end of a chunk: progress under its lease, then
-- vectors.

WITH progress AS (
    UPDATE jobs j SET
        embedded_so_far = 8, lease_expires_at = now() + interval '30 seconds',
        idle_slices = 0, held_up_since = NULL, last_error = '', error_code = NULL,
        last_progress_at = now(), updated_at = now()
    FROM specs s
    WHERE j.id = 2 AND j.lease_token = '6f1b2c30-aa10-41f0-8d0b-0a1b2c3d4e5f' AND j.status = 'running'
      AND s.id = j.spec_id
    RETURNING j.spec_id, s.current_revision
)
INSERT INTO vectors (model_id, text_hash, embedding, made_at)
SELECT 1, o.text_hash, array_fill(0.25, ARRAY[8])::vector, clock_timestamp()
FROM progress p
JOIN operations o ON o.spec_id = p.spec_id AND o.revision = p.current_revision
WHERE o.position BETWEEN 4 AND 7
ORDER BY o.text_hash
ON CONFLICT (model_id, text_hash) DO UPDATE SET embedding = excluded.embedding, made_at = excluded.made_at
WHERE vectors.made_at <= NULL::timestamptz
