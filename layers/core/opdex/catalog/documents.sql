-- What is stored of a spec's document.

-- name: content
SELECT r.content, r.content_sha256
FROM specs s JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
WHERE s.catalog_id = %(catalog_id)s AND s.spec_name = %(spec_name)s;

-- name: revision
SELECT r.spec_id, r.revision
FROM specs s JOIN revisions r ON r.spec_id = s.id AND r.revision = coalesce(%(revision)s::integer, s.current_revision)
WHERE s.catalog_id = %(catalog_id)s AND s.spec_name = %(spec_name)s;

-- name: operations
SELECT operation_id, method, path, summary, description, tags, deprecated
FROM operations
WHERE spec_id = %(spec_id)s AND revision = %(revision)s AND position >= %(start)s
ORDER BY position LIMIT %(limit)s;
