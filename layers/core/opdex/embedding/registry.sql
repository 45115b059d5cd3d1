-- Models: one row per provider and model name.

-- name: find_model
SELECT id, dimension FROM models WHERE provider = %(provider)s AND model = %(model)s

-- name: register_model
WITH found AS (SELECT id, dimension FROM models WHERE provider = %(provider)s AND model = %(model)s),
made AS (
    INSERT INTO models (provider, model)
    SELECT %(provider)s, %(model)s WHERE NOT EXISTS (SELECT FROM found)
    ON CONFLICT (provider, model) DO UPDATE SET model = excluded.model
    RETURNING id, dimension
)
SELECT id, dimension FROM found UNION ALL SELECT id, dimension FROM made

-- name: settle_dimension
UPDATE models SET dimension = coalesce(dimension, %(dimension)s) WHERE id = %(model_id)s RETURNING dimension
