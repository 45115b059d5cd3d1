-- Models: one row per provider and model name.

-- name: find_model
SELECT id, dimension FROM models WHERE provider = %(provider)s AND model = %(model)s;

-- name: register_model
WITH found AS (SELECT id, dimension FROM models WHERE provider = %(provider)s AND model = %(model)s),
made AS (
    INSERT INTO models (provider, model)
    SELECT %(provider)s, %(model)s WHERE NOT EXISTS (SELECT FROM found)
    ON CONFLICT (provider, model) DO UPDATE SET model = excluded.model
    RETURNING id, dimension
)
SELECT id, dimension FROM found
UNION ALL
SELECT id, dimension FROM made;

-- name: hold_vectors
-- Waits for all that count vectors; they hold the same lock, shared, until they commit.
SELECT pg_advisory_xact_lock('vectors'::regclass::bigint);

-- name: lock_model
SELECT dimension FROM models WHERE id = %(model_id)s FOR UPDATE;

-- name: is_settled
-- After the locks, which were waited for: published vectors, or more than the texts that speak for another length.
SELECT EXISTS (
           SELECT FROM specs s JOIN operations o ON o.spec_id = s.id AND o.revision = s.published_revision
           WHERE s.published_model_id = %(model_id)s
       ) OR (
           SELECT count(*) FROM (SELECT FROM vectors WHERE model_id = %(model_id)s LIMIT %(texts)s + 1) stored
       ) > %(texts)s AS settled;

-- name: forget_vectors
DELETE FROM vectors WHERE model_id = %(model_id)s;

-- name: settle_dimension
UPDATE models SET dimension = %(dimension)s WHERE id = %(model_id)s;

-- name: has_dimension
-- Holds the row, as the foreign key of the vectors that follow will: the dimension cannot change before they are there.
SELECT id FROM models WHERE id = %(model_id)s AND dimension = %(dimension)s FOR KEY SHARE;
