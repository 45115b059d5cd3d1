-- Bringing a spec's current revision to search.

-- name: hold_vectors
-- Until the commit no vector is deleted as unreferenced: nobody sees this transaction's operations yet. In a statement
-- of its own, so that the next one sees what was deleted before.
SELECT pg_advisory_xact_lock_shared('vectors'::regclass::bigint);

-- name: publish_if_embedded
-- Every text has its vector already and no job is open: nothing to do for a worker.
UPDATE specs s SET published_revision = s.current_revision, published_model_id = %(model_id)s
WHERE s.id = %(spec_id)s
  AND NOT EXISTS (SELECT FROM jobs j WHERE j.spec_id = s.id AND j.status IN ('pending', 'running'))
  AND NOT EXISTS (
      SELECT FROM operations o
      LEFT JOIN vectors v ON v.model_id = %(model_id)s AND v.text_hash = o.text_hash
      WHERE o.spec_id = s.id AND o.revision = s.current_revision AND v.text_hash IS NULL
  )
RETURNING (
    SELECT r.operation_count FROM revisions r WHERE r.spec_id = s.id AND r.revision = s.current_revision
) AS operation_count;
