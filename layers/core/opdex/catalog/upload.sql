-- Storing a document as a spec's new revision.

-- name: create_spec
INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision, last_fetched_at)
VALUES (%(catalog_id)s, %(spec_name)s, %(source_kind)s, 0, now())
ON CONFLICT (catalog_id, spec_name) DO NOTHING
RETURNING id, current_revision;

-- name: lock_spec
SELECT id, current_revision FROM specs
WHERE catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s
FOR NO KEY UPDATE;

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
