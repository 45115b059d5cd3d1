-- What search needs of a revision, kept where its operations are stored.

-- name: store_segment
INSERT INTO segments (spec_id, revision, scheme, octets)
VALUES (%(spec_id)s, %(revision)s, %(scheme)s, %(octets)s)
ON CONFLICT (spec_id, revision) DO UPDATE SET scheme = excluded.scheme, octets = excluded.octets, created_at = now();

-- name: read_segments
SELECT spec_id, revision, octets
FROM unnest(%(spec_ids)s::bigint[], %(revisions)s::int[]) AS wanted (spec_id, revision)
JOIN segments USING (spec_id, revision)
WHERE scheme = %(scheme)s;

-- name: read_operations
SELECT operation_id, method, path, summary, description, tags, deprecated, text, text_hash
FROM stored_operations WHERE spec_id = %(spec_id)s AND revision = %(revision)s
ORDER BY position;

-- name: read_title
SELECT title FROM revisions
WHERE coalesce(original_spec_id, spec_id) = %(spec_id)s AND coalesce(original_revision, revision) = %(revision)s
LIMIT 1;

-- name: outdated
-- Of the revisions that search sees, those whose segment is missing or made in another way, and one document of each.
SELECT DISTINCT ON (origin.spec_id, origin.revision) origin.spec_id, origin.revision, r.title, r.content
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision IN (s.published_revision, s.current_revision)
CROSS JOIN LATERAL (
    SELECT coalesce(r.original_spec_id, r.spec_id) AS spec_id, coalesce(r.original_revision, r.revision) AS revision
) origin
WHERE (origin.spec_id, origin.revision) > (%(spec_id)s, %(revision)s)
  AND r.operation_count > 0
  AND NOT EXISTS (
      SELECT FROM segments g
      WHERE g.spec_id = origin.spec_id AND g.revision = origin.revision AND g.scheme = %(scheme)s)
ORDER BY origin.spec_id, origin.revision
LIMIT 1;
