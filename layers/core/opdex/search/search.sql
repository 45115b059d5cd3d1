-- Search looks at the operations that a reader may see: a spec's published revision, or its first one until then. Its
-- row is written with each publication, by which it gets another version.

-- name: scope
SELECT coalesce(r.original_spec_id, r.spec_id) AS origin_spec_id,
       coalesce(r.original_revision, r.revision) AS origin_revision,
       r.content_sha256, s.catalog_id, s.spec_name, s.xmin::text AS version,
       coalesce(s.published_model_id = %(model_id)s AND r.revision = s.published_revision, false) AS is_indexed
FROM specs s
JOIN revisions r ON r.spec_id = s.id AND r.revision = coalesce(s.published_revision, s.current_revision)
WHERE (%(catalogs)s::text[] IS NULL OR s.catalog_id = ANY(%(catalogs)s))
  AND (%(specs)s::text[] IS NULL OR s.spec_name = ANY(%(specs)s))
ORDER BY s.catalog_id, s.spec_name;

-- name: cosines
-- One row: the cosine of each text that has a vector to each query vector, in any order, each with the beginning of the
-- text's hash and the query's number; numbers big-endian, one after the other. The hashes come in one piece, 32 octets
-- each; all vectors have length 1.
SELECT
    string_agg(substr(v.text_hash, 1, 8), ''::bytea) AS texts,
    string_agg(int2send(query.n::int2), ''::bytea) AS queries,
    string_agg(float4send((-(v.embedding <#> query.vector))::float4), ''::bytea) AS cosines
FROM vectors v
CROSS JOIN unnest(%(vectors)s::vector[]) WITH ORDINALITY AS query (vector, n)
WHERE v.model_id = %(model_id)s
  AND v.text_hash = ANY(ARRAY(
      SELECT substr(%(text_hashes)s::bytea, n * 32 - 31, 32)
      FROM generate_series(1, octet_length(%(text_hashes)s::bytea) / 32) AS n));

-- name: vectors
-- One row: those of the texts that have one, in any order, each with the beginning of the text's hash.
SELECT
    string_agg(substr(v.text_hash, 1, 8), ''::bytea) AS texts,
    string_agg(vector_send(v.embedding), ''::bytea) AS vectors
FROM vectors v
WHERE v.model_id = %(model_id)s
  AND v.text_hash = ANY(ARRAY(
      SELECT substr(%(text_hashes)s::bytea, n * 32 - 31, 32)
      FROM generate_series(1, octet_length(%(text_hashes)s::bytea) / 32) AS n));

-- name: nearest
SELECT query.n::int AS n, found.text_hash
FROM unnest(%(vectors)s::vector[]) WITH ORDINALITY AS query (vector, n)
CROSS JOIN LATERAL nearest_texts(%(model_id)s, query.vector, %(depth)s) AS found (text_hash);

-- name: stored_vectors
-- About how many there are, of all models (counting them would take longer than the search), and whether an index finds
-- the nearest: without one all would be looked at for each query vector, and again for each greater depth.
SELECT
    greatest(reltuples, 1)::float8 AS vectors,
    'vectors_near_' || %(model_id)s::int || '_' || %(dimension)s::int IN (
        SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'vectors'::regclass AND i.indisvalid
    ) AS has_index
FROM pg_class WHERE oid = 'vectors'::regclass;

-- name: running_jobs
SELECT count(*) AS running FROM jobs WHERE status = 'running';

-- name: found
SELECT o.operation_id, o.method, o.path, o.summary, o.description, o.tags, o.deprecated
FROM unnest(%(spec_ids)s::bigint[], %(revisions)s::int[], %(positions)s::int[])
     WITH ORDINALITY AS hit (spec_id, revision, position, rank)
JOIN stored_operations o USING (spec_id, revision, position)
ORDER BY hit.rank;

-- name: snapshot
-- Where to look, the vectors and the rows they lead to are read at one moment: never a mixture of two publications.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY -- noqa: PRS
;
