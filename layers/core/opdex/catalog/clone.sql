-- Cloning a catalog.

-- name: clone_catalog
INSERT INTO catalogs (id, name, version, display_name, description)
SELECT %(id)s, %(name)s, %(version)s, %(display_name)s, coalesce(%(description)s, description)
FROM catalogs WHERE id = %(source_id)s;

-- name: hold_specs
-- None of them is deleted before the commit, so their operations stay; uploads and publications wait for nothing.
SELECT id FROM specs WHERE catalog_id = %(source_id)s ORDER BY id FOR KEY SHARE;

-- name: clone_specs
-- One statement, so it sees one moment. The time of the next fetch goes along with the schedule, failures do not.
WITH source AS MATERIALIZED (
    SELECT * FROM specs WHERE id = ANY(%(spec_ids)s)
), clones AS (
    INSERT INTO specs (catalog_id, spec_name, source_kind, source_url, given_base_path, etag, last_modified,
                       last_fetched_at, refresh_hours, next_fetch_at,
                       current_revision, published_revision, published_model_id)
    SELECT %(id)s, spec_name, source_kind, source_url, given_base_path, etag, last_modified,
           last_fetched_at, refresh_hours, next_fetch_at,
           current_revision, published_revision, published_model_id
    FROM source ORDER BY id
    RETURNING id, spec_name
)
INSERT INTO revisions (spec_id, revision, original_spec_id, original_revision, content_sha256, content, bytes,
                       base_path, title, openapi_version, operation_count, warnings, webhooks, text_scheme)
SELECT clones.id, r.revision, coalesce(r.original_spec_id, r.spec_id), coalesce(r.original_revision, r.revision),
       r.content_sha256, r.content, r.bytes, r.base_path, r.title, r.openapi_version, r.operation_count, r.warnings,
       r.webhooks, r.text_scheme
FROM source
JOIN clones USING (spec_name)
JOIN revisions r ON r.spec_id = source.id AND r.revision IN (source.current_revision, source.published_revision);

-- name: unpublished
SELECT id FROM specs
WHERE catalog_id = %(id)s
  AND (published_revision IS DISTINCT FROM current_revision OR published_model_id IS DISTINCT FROM %(model_id)s)
ORDER BY id;
