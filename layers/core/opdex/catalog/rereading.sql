-- Reading stored documents again.

-- name: outdated_texts
-- Large documents come last: should one outlive the function, it keeps no small one waiting.
SELECT r.operation_count, r.spec_id, r.revision, s.catalog_id
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
WHERE r.text_scheme < %(text_scheme)s
  AND (r.operation_count, r.spec_id) > (%(operation_count)s, %(spec_id)s)
ORDER BY r.operation_count, r.spec_id
LIMIT %(batch)s;

-- name: read_document
SELECT content, base_path, warnings FROM revisions WHERE spec_id = %(spec_id)s AND revision = %(revision)s;

-- name: lock_if_current
SELECT id FROM specs WHERE id = %(spec_id)s AND current_revision = %(revision)s FOR NO KEY UPDATE;

-- name: turn_to_revision
UPDATE specs SET current_revision = %(revision)s, updated_at = now() WHERE id = %(spec_id)s;
