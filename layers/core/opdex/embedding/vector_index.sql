-- The indexes that find near vectors, one a model.

-- name: unindexed_models
-- What has as many vectors that an index finds them sooner than a look at each, and no dimension that is too large for
-- one.
SELECT m.id, m.dimension
FROM models m
WHERE m.dimension BETWEEN 1 AND 4000
  AND to_regtype('halfvec') IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
      WHERE i.indrelid = 'vectors'::regclass AND c.relname = 'vectors_near_' || m.id AND i.indisvalid)
  AND (SELECT count(*) FROM (SELECT FROM vectors v WHERE v.model_id = m.id LIMIT %(least)s) stored) = %(least)s
ORDER BY m.id;
