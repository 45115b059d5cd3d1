-- What is old, and dropped. Nothing here waits for a lock: what is locked stays until another pass.

-- name: forget_jobs
-- By id, which is by age: the walk ends at the first job that is too young to have finished long ago.
WITH looked_at AS MATERIALIZED (
    SELECT id, created_at < now() - make_interval(days => %(days)s) AS is_old
    FROM jobs WHERE id > %(id)s
    ORDER BY id LIMIT %(batch)s
), doomed AS (
    SELECT j.id
    FROM looked_at JOIN jobs j USING (id)
    WHERE j.completed_at < now() - make_interval(days => %(days)s)
      AND (j.spec_id IS NULL OR (j.next_try_at IS NULL AND EXISTS (
          SELECT FROM jobs newer WHERE newer.spec_id = j.spec_id AND -newer.id < -j.id)))
    FOR UPDATE OF j SKIP LOCKED
), forgotten AS (
    DELETE FROM jobs j USING doomed WHERE j.id = doomed.id RETURNING j.id
)
SELECT id, count(*) OVER () = %(batch)s AND is_old AS more, (SELECT count(*) FROM forgotten) AS forgotten
FROM looked_at
ORDER BY id DESC LIMIT 1;

-- name: forget_revisions
-- One that is neither current nor published never becomes so again; it is old once a newer one is. Row by row and by
-- their place, so that no plan reads the table whole.
WITH looked_at AS MATERIALIZED (
    SELECT spec_id, revision FROM revisions
    WHERE (spec_id, revision) > (%(spec_id)s, %(revision)s)
    ORDER BY spec_id, revision LIMIT %(batch)s
), doomed AS (
    SELECT r.place
    FROM looked_at l
    CROSS JOIN LATERAL (
        SELECT r.ctid AS place FROM revisions r
        WHERE r.spec_id = l.spec_id AND r.revision = l.revision
          AND r.revision < (SELECT s.current_revision FROM specs s WHERE s.id = l.spec_id)
          AND r.revision IS DISTINCT FROM (SELECT s.published_revision FROM specs s WHERE s.id = l.spec_id)
          AND EXISTS (
              SELECT FROM revisions newer
              WHERE newer.spec_id = l.spec_id AND newer.revision > l.revision
                AND newer.created_at < now() - make_interval(days => %(days)s))
          AND NOT EXISTS (
              SELECT FROM jobs j
              WHERE j.spec_id = l.spec_id AND j.status IN ('pending', 'running')
                AND l.revision IN (j.revision, j.planned_revision))
        FOR UPDATE OF r SKIP LOCKED
    ) r
), forgotten AS (
    DELETE FROM revisions WHERE ctid = ANY(ARRAY(SELECT place FROM doomed)) RETURNING revision
)
SELECT spec_id, revision, count(*) OVER () = %(batch)s AS more, (SELECT count(*) FROM forgotten) AS forgotten
FROM looked_at
ORDER BY spec_id DESC, revision DESC LIMIT 1;

-- name: operations_after
-- The revisions that operations were stored with, one jump of the primary key for each, and whether no revision has
-- them: that one is gone, and so are its clones. Then none ever will: a clone is made only of a revision that is there.
WITH RECURSIVE stored AS (
    (
        SELECT spec_id, revision, 1 AS number FROM stored_operations
        WHERE (spec_id, revision) > (%(spec_id)s, %(revision)s)
        ORDER BY spec_id, revision LIMIT 1
    )
    UNION ALL
    (
        SELECT following.spec_id, following.revision, stored.number + 1
        FROM stored CROSS JOIN LATERAL (
            SELECT o.spec_id, o.revision FROM stored_operations o
            WHERE (o.spec_id, o.revision) > (stored.spec_id, stored.revision)
            ORDER BY o.spec_id, o.revision LIMIT 1
        ) following
        WHERE stored.number < %(batch)s
    )
)
SELECT stored.spec_id, stored.revision, r.spec_id IS NULL AS is_unreferenced
FROM stored
LEFT JOIN LATERAL (
    SELECT spec_id FROM revisions
    WHERE coalesce(original_spec_id, spec_id) = stored.spec_id
      AND coalesce(original_revision, revision) = stored.revision
    LIMIT 1
) r ON true
ORDER BY stored.number;

-- name: forget_segment
DELETE FROM segments WHERE spec_id = %(spec_id)s AND revision = %(revision)s;

-- name: forget_operations
DELETE FROM stored_operations WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM stored_operations
    WHERE spec_id = %(spec_id)s AND revision = %(revision)s
    FOR UPDATE SKIP LOCKED
));

-- name: models
SELECT id FROM models ORDER BY id;

-- name: vectors_after
-- LIMIT 1 keeps to the index, whatever the planner thinks of the tables.
SELECT v.text_hash, o.text_hash IS NULL AS is_unreferenced
FROM (
    SELECT text_hash FROM vectors WHERE model_id = %(model_id)s AND text_hash > %(after)s
    ORDER BY text_hash LIMIT %(batch)s
) v
LEFT JOIN LATERAL (SELECT text_hash FROM stored_operations WHERE text_hash = v.text_hash LIMIT 1) o ON true
ORDER BY v.text_hash;

-- name: shut_uploads_out
-- An upload shares this lock from its look at the vectors to its commit: its operations are seen from then on. False
-- where one is at it.
SELECT pg_try_advisory_xact_lock('vectors'::regclass::bigint) AS is_shut;

-- name: forget_vectors
WITH doomed AS (
    SELECT v.text_hash
    FROM vectors v
    LEFT JOIN LATERAL (SELECT text_hash FROM stored_operations WHERE text_hash = v.text_hash LIMIT 1) o ON true
    WHERE v.model_id = %(model_id)s AND v.text_hash = ANY(%(text_hashes)s::bytea[])
      AND v.made_at < now() - make_interval(days => %(days)s)
      AND o.text_hash IS NULL
    FOR UPDATE OF v SKIP LOCKED
)
DELETE FROM vectors v USING doomed WHERE v.model_id = %(model_id)s AND v.text_hash = doomed.text_hash;
