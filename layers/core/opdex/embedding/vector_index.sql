-- The indexes that find near vectors, one a model and length.

-- name: useless_indexes
-- What each write has to keep up, and no search can use: the rest of a build that came to nothing, and what is of no
-- published model's length.
SELECT c.relname AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = 'vectors'::regclass AND starts_with(c.relname, 'vectors_near_')
  AND NOT EXISTS (
      SELECT FROM pg_stat_progress_create_index p
      WHERE p.datname = current_database() AND coalesce(p.index_relid, i.indexrelid) = i.indexrelid)
  AND (NOT i.indisvalid OR NOT EXISTS (
      SELECT FROM models m JOIN specs s ON s.published_model_id = m.id
      WHERE c.relname = 'vectors_near_' || m.id || '_' || m.dimension));

-- name: forget_attempts
UPDATE models m SET index_attempts = 0, index_again_at = NULL
WHERE index_attempts > 0 AND EXISTS (
    SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'vectors'::regclass AND c.relname = 'vectors_near_' || m.id || '_' || m.dimension
      AND i.indisvalid);

-- name: unindexed_models
-- What has so many vectors that an index finds them sooner than a look at each, and no length that is too large for
-- one; about how many there are, of all models.
SELECT m.id, m.dimension, greatest(t.reltuples, %(least)s) AS about,
       pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers
FROM models m JOIN pg_class t ON t.oid = 'vectors'::regclass
WHERE m.dimension BETWEEN 1 AND 4000
  AND to_regtype('halfvec') IS NOT NULL
  AND (m.index_again_at IS NULL OR m.index_again_at <= now())
  AND EXISTS (SELECT FROM specs s WHERE s.published_model_id = m.id)
  AND NOT EXISTS (
      SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = 'vectors'::regclass AND c.relname = 'vectors_near_' || m.id || '_' || m.dimension)
  AND (SELECT count(*) FROM (SELECT FROM vectors v WHERE v.model_id = m.id LIMIT %(least)s) stored) = %(least)s
ORDER BY m.id;

-- name: begin_attempt
-- One at a time, and each after twice the time of the one before: 20 minutes, 40, …, a day.
UPDATE models SET
    index_attempts = index_attempts + 1,
    index_again_at = now() + least(interval '1 day', interval '20 minutes' * 2 ^ least(index_attempts, 10))
WHERE id = %(id)s AND (index_again_at IS NULL OR index_again_at <= now())
RETURNING index_attempts;
