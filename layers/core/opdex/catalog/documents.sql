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

-- name: find_operation
-- Of the revision that search shows. An id may read like another operation's address: an id counts before an address.
SELECT o.operation_id, o.method, o.path, o.summary, o.description, o.tags, o.deprecated, o.position,
       r.spec_id, r.revision, r.content_sha256, r.base_path
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = coalesce(s.published_revision, s.current_revision)
JOIN operations o ON o.spec_id = r.spec_id AND o.revision = r.revision
WHERE s.catalog_id = %(catalog_id)s AND s.spec_name = %(spec_name)s
  AND (o.operation_id = %(operation)s OR o.method || ' ' || o.path = %(operation)s)
ORDER BY o.operation_id = %(operation)s DESC, o.position LIMIT 1;

-- name: content_of_revision
SELECT content FROM revisions WHERE spec_id = %(spec_id)s AND revision = %(revision)s;
