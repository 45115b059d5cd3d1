-- Storing a document as a spec's new revision.

-- name: hold_catalog
-- First of all locks, so that a catalog that is being deleted is waited for here or not found.
SELECT id FROM catalogs WHERE id = %(catalog_id)s FOR KEY SHARE;

-- name: create_spec
INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision, last_fetched_at)
VALUES (%(catalog_id)s, %(spec_name)s, %(source_kind)s, 0, now())
ON CONFLICT (catalog_id, spec_name) DO NOTHING
RETURNING id, current_revision, published_revision, published_model_id;

-- name: lock_spec
SELECT id, current_revision, published_revision, published_model_id FROM specs
WHERE catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s
FOR NO KEY UPDATE;

-- name: stored_operations
SELECT operation_id, method, path, summary, description, tags, deprecated, text_hash
FROM operations WHERE spec_id = %(spec_id)s AND revision = %(revision)s;

-- name: stored_revision
SELECT content_sha256, base_path, webhooks FROM revisions WHERE spec_id = %(spec_id)s AND revision = %(revision)s;

-- name: add_revision
INSERT INTO revisions (spec_id, revision, content_sha256, content, bytes, base_path, title, openapi_version,
                       operation_count, warnings, webhooks)
VALUES (%(spec_id)s, %(revision)s, %(content_sha256)s, %(content)s, %(bytes)s, %(base_path)s, %(title)s,
        %(openapi_version)s, %(operation_count)s, %(warnings)s, %(webhooks)s);

-- name: copy_operations
COPY stored_operations (spec_id, revision, position, operation_id, method, path, summary, description, tags, deprecated,
                        text, text_hash, name_words) FROM STDIN;

-- name: turn_to_revision
-- To the same one where nothing changed. What was known of the document's former source goes, and so does a schedule
-- where the new source is no URL.
UPDATE specs SET
    current_revision = %(revision)s,
    updated_at = CASE WHEN current_revision = %(revision)s THEN updated_at ELSE now() END,
    source_kind = %(source_kind)s, source_url = %(source_url)s, given_base_path = %(given_base_path)s,
    etag = %(etag)s, last_modified = %(last_modified)s, last_fetched_at = now(),
    refresh_hours = CASE WHEN %(source_kind)s = 'url' THEN refresh_hours ELSE 0 END,
    next_fetch_at = CASE WHEN %(source_kind)s = 'url' AND refresh_hours > 0
                         THEN now() + make_interval(hours => refresh_hours) END,
    fetch_failures = 0, last_fetch_error = NULL, last_fetch_error_code = NULL, last_fetch_failed_at = NULL
WHERE id = %(spec_id)s;
