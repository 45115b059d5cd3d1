-- Catalogs and specs.

-- name: create_catalog
INSERT INTO catalogs (id, name, version, display_name, description)
VALUES (%(id)s, %(name)s, %(version)s, %(display_name)s, %(description)s);

-- name: update_catalog
UPDATE catalogs SET
    name = coalesce(%(name)s, name), version = coalesce(%(version)s, version),
    display_name = coalesce(%(display_name)s, display_name), description = coalesce(%(description)s, description),
    updated_at = now()
WHERE id = %(id)s
  AND (name, version, display_name, description) IS DISTINCT FROM (
      coalesce(%(name)s, name), coalesce(%(version)s, version),
      coalesce(%(display_name)s, display_name), coalesce(%(description)s, description)
  );

-- name: list_catalogs
SELECT c.*, coalesce(held.spec_count, 0) AS spec_count, coalesce(held.operation_count, 0) AS operation_count
FROM catalogs c
LEFT JOIN LATERAL (
    SELECT count(*) AS spec_count, sum(r.operation_count) AS operation_count
    FROM specs s JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
    WHERE s.catalog_id = c.id
) held ON true
WHERE (%(id)s::text IS NULL OR c.id = %(id)s) AND (%(after)s::text IS NULL OR c.id > %(after)s)
ORDER BY c.id LIMIT %(limit)s;

-- name: lock_catalog
SELECT id FROM catalogs WHERE id = %(catalog_id)s FOR UPDATE;

-- name: lock_specs
SELECT id FROM specs WHERE catalog_id = %(catalog_id)s ORDER BY id FOR NO KEY UPDATE;

-- name: delete_catalog
DELETE FROM catalogs WHERE id = %(catalog_id)s;

-- name: list_specs
-- In an order of its own, since the database's depends on its locale.
SELECT s.catalog_id, s.spec_name, s.source_kind, s.source_url, r.base_path, r.title, r.openapi_version, r.revision,
       r.content_sha256, r.bytes, r.operation_count, coalesce(p.operation_count, 0) AS embedding_count,
       s.created_at, s.updated_at, s.last_fetched_at, s.refresh_hours AS refresh_every_hours,
       s.next_fetch_at AS next_refresh_at, s.last_fetch_error, s.last_fetch_error_code, s.last_fetch_failed_at,
       r.warnings,
       CASE WHEN %(spec_name)s::text IS NULL THEN '[]' ELSE r.webhooks END AS webhooks,
       jsonb_array_length(r.webhooks) AS webhook_count,
       CASE WHEN j.id IS NOT NULL THEN jsonb_build_object('id', j.id, 'status', j.status) END AS job
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
LEFT JOIN revisions p ON p.spec_id = s.id AND p.revision = s.published_revision
LEFT JOIN LATERAL (
    SELECT jobs.id, jobs.status FROM jobs WHERE jobs.spec_id = s.id ORDER BY -jobs.id LIMIT 1
) j ON true
WHERE s.catalog_id = %(catalog_id)s
  AND (%(spec_name)s::text IS NULL OR s.spec_name = %(spec_name)s)
  AND (%(after)s::text IS NULL OR s.spec_name COLLATE "C" > %(after)s)
ORDER BY s.spec_name COLLATE "C" LIMIT %(limit)s;

-- name: has_spec_name
SELECT id FROM specs WHERE spec_name = %(spec_name)s LIMIT 1;

-- name: lock_spec
SELECT id FROM specs WHERE catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s FOR NO KEY UPDATE;

-- name: delete_spec
DELETE FROM specs WHERE id = %(spec_id)s;
