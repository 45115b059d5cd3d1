-- What search needs of a revision, kept where its operations are stored: one of each way of making it that is in use.

-- name: store_segment
INSERT INTO segments (spec_id, revision, scheme, octets)
VALUES (%(spec_id)s, %(revision)s, %(scheme)s, %(octets)s)
ON CONFLICT (spec_id, revision, scheme) DO NOTHING;

-- name: segment_sizes
-- The length of what is stored apart is known without reading it.
SELECT spec_id, revision, octet_length(octets) AS size
FROM unnest(%(spec_ids)s::bigint[], %(revisions)s::int[]) AS wanted (spec_id, revision)
JOIN segments USING (spec_id, revision)
WHERE scheme = %(scheme)s;

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
SELECT title, operation_count FROM revisions
WHERE coalesce(original_spec_id, spec_id) = %(spec_id)s AND coalesce(original_revision, revision) = %(revision)s
LIMIT 1;

-- name: outdated
-- Of the revisions that search sees, those whose segment is missing or made in another way, and which revision has a
-- document of each. Large ones come last: should one outlive the function, it keeps no small one waiting.
SELECT DISTINCT ON (origin.is_large, origin.spec_id, origin.revision)
    origin.is_large, origin.spec_id, origin.revision,
    r.spec_id AS described_spec_id, r.revision AS described_revision
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision IN (s.published_revision, s.current_revision)
CROSS JOIN LATERAL (
    SELECT r.operation_count > %(large)s AS is_large,
           coalesce(r.original_spec_id, r.spec_id) AS spec_id, coalesce(r.original_revision, r.revision) AS revision
) origin
WHERE (origin.is_large, origin.spec_id, origin.revision) > (%(is_large)s, %(spec_id)s, %(revision)s)
  AND r.operation_count > 0
  AND NOT EXISTS (
      SELECT FROM segments g
      WHERE g.spec_id = origin.spec_id AND g.revision = origin.revision AND g.scheme = %(scheme)s)
ORDER BY origin.is_large, origin.spec_id, origin.revision
LIMIT %(batch)s;

-- name: read_document
SELECT title, content FROM revisions WHERE spec_id = %(described_spec_id)s AND revision = %(described_revision)s;

-- name: hold_revision
-- Retention leaves alone what is held: no segment is stored of a revision that is gone.
SELECT FROM revisions
WHERE spec_id = %(described_spec_id)s AND revision = %(described_revision)s
FOR KEY SHARE;

-- name: forget_segments
-- Of one batch: those of revisions that are gone (the release before dropped their operations alone), and those made in
-- another way a day ago, once one made in this way has been there for a day: a deploy may be taken back until then, and
-- during it the sweep of the release before sees those of the new one.
WITH looked_at AS MATERIALIZED (
    SELECT spec_id, revision, scheme FROM segments
    WHERE (spec_id, revision, scheme) > (%(spec_id)s, %(revision)s, %(after_scheme)s)
    ORDER BY spec_id, revision, scheme LIMIT %(batch)s
), forgotten AS (
    DELETE FROM segments g USING looked_at l
    WHERE (g.spec_id, g.revision, g.scheme) = (l.spec_id, l.revision, l.scheme)
      AND (NOT EXISTS (
              SELECT FROM revisions r
              WHERE coalesce(r.original_spec_id, r.spec_id) = l.spec_id
                AND coalesce(r.original_revision, r.revision) = l.revision)
           OR (l.scheme <> %(scheme)s AND g.created_at < now() - interval '1 day' AND EXISTS (
              SELECT FROM segments ours
              WHERE ours.spec_id = l.spec_id AND ours.revision = l.revision AND ours.scheme = %(scheme)s
                AND ours.created_at < now() - interval '1 day')))
    RETURNING g.spec_id
)
SELECT spec_id, revision, scheme AS after_scheme, count(*) OVER () = %(batch)s AS more,
       (SELECT count(*) FROM forgotten) AS forgotten
FROM looked_at
ORDER BY spec_id DESC, revision DESC, scheme DESC LIMIT 1;
