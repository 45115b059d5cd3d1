-- The audit: who changed what over the API, and what it was before and after. Texts are cut, so that no entry is large.

-- name: hold
-- Changes of one subject take turns, so that what one finds before is what the last one left. The lock is taken before
-- any other, and only one a transaction. A statement of its own: the next one sees what was committed while this one
-- waited.
SELECT pg_advisory_xact_lock(hashtextextended(%(subject)s, 0));

-- name: catalog
SELECT jsonb_build_object(
    'id', c.id, 'name', c.name, 'version', c.version, 'display_name', c.display_name,
    'description', left(c.description, 1000),
    'spec_count', (SELECT count(*) FROM specs s WHERE s.catalog_id = c.id),
    'operation_count', (
        SELECT coalesce(sum(r.operation_count), 0) FROM specs s
        JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision WHERE s.catalog_id = c.id
    ),
    'open_jobs', (
        SELECT count(*) FROM jobs j WHERE j.catalog_id = c.id AND j.status IN ('pending', 'running')
    )
) AS state
FROM catalogs c WHERE c.id = %(catalog_id)s;

-- name: spec
-- Of a URL not what follows the question mark: some servers take secrets there.
SELECT jsonb_build_object(
    'catalog_id', s.catalog_id, 'spec_name', s.spec_name, 'source_kind', s.source_kind,
    'source_url', left(regexp_replace(s.source_url, '\?.*', '?…'), 1000),
    'refresh_every_hours', s.refresh_hours, 'base_path', r.base_path, 'title', left(r.title, 200),
    'revision', r.revision, 'content_sha256', r.content_sha256, 'bytes', r.bytes, 'operation_count', r.operation_count,
    'job', (
        SELECT jsonb_build_object('id', j.id, 'status', j.status, 'fresh_after', j.fresh_after) FROM jobs j
        WHERE j.spec_id = s.id ORDER BY -j.id LIMIT 1
    )
) AS state
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = s.current_revision
WHERE s.catalog_id = %(catalog_id)s AND s.spec_name = %(spec_name)s;

-- name: job
-- A retry opens another job: the newest one of the spec tells.
SELECT jsonb_build_object(
    'id', j.id, 'catalog_id', j.catalog_id, 'spec_name', j.spec_name, 'kind', j.kind, 'status', j.status,
    'revision', j.revision,
    'newest_job_id', (SELECT n.id FROM jobs n WHERE n.spec_id = j.spec_id ORDER BY -n.id LIMIT 1)
) AS state
FROM jobs j WHERE j.id = %(job_id)s;

-- name: key
SELECT jsonb_build_object(
    'id', id, 'name', name, 'role', role, 'created_at', created_at, 'expires_at', expires_at
) AS state
FROM keys WHERE id = %(key_id)s;

-- name: record
-- Nothing where the transaction has written nothing.
INSERT INTO audit (who, what, path, subject, request_id, before, after)
SELECT %(who)s, %(what)s, %(path)s, %(subject)s, %(request_id)s, %(before)s, %(after)s
WHERE pg_current_xact_id_if_assigned() IS NOT NULL
RETURNING id;

-- name: go_on
UPDATE audit SET after = %(after)s WHERE id = %(id)s;

-- name: list_entries
SELECT id, at AS "when", who, what, path, subject, request_id, before, after FROM audit
WHERE %(before)s::bigint IS NULL OR id < %(before)s
ORDER BY id DESC LIMIT %(limit)s;

-- name: forget_entries
-- By id, which is by age; what another pass is at just now is left to it.
DELETE FROM audit WHERE id = ANY(ARRAY(
    SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED) oldest
    WHERE at < now() - make_interval(days => %(days)s)
));
