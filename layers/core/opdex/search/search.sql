-- Each channel ranks the operations that a reader may see: a spec's published revision, or its first one until then.

-- name: snapshot
-- Both channels and the rows they lead to are read at one moment: never a mixture of two publications.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: lexical
-- Any of the words will do; ts_rank with normalisation 1|32 divides by the logarithm of the length and ends below 1.
WITH query AS (SELECT replace(plainto_tsquery('english', %(words)s)::text, ' & ', ' | ')::tsquery AS terms)
SELECT o.spec_id, o.revision, o.position, ts_rank(o.lexemes, query.terms, 33)::float8 AS score
FROM query, specs s
JOIN operations o ON o.spec_id = s.id AND o.revision = coalesce(s.published_revision, s.current_revision)
WHERE o.lexemes @@ query.terms
  AND (%(catalogs)s::text[] IS NULL OR s.catalog_id = ANY (%(catalogs)s))
  AND (%(specs)s::text[] IS NULL OR s.spec_name = ANY (%(specs)s))
  AND (%(method)s::text IS NULL OR upper(o.method) = upper(%(method)s))
  AND (%(tag)s::text IS NULL OR %(tag)s = ANY (o.tags))
ORDER BY score DESC, s.catalog_id, s.spec_name, o.position
LIMIT %(depth)s;

-- name: semantic
SELECT o.spec_id, o.revision, o.position, (1 - (v.embedding <=> %(vector)s::vector))::float8 AS score
FROM specs s
JOIN operations o ON o.spec_id = s.id AND o.revision = s.published_revision
JOIN vectors v ON v.model_id = s.published_model_id AND v.text_hash = o.text_hash
WHERE s.published_model_id = %(model_id)s
  AND (%(catalogs)s::text[] IS NULL OR s.catalog_id = ANY (%(catalogs)s))
  AND (%(specs)s::text[] IS NULL OR s.spec_name = ANY (%(specs)s))
  AND (%(method)s::text IS NULL OR upper(o.method) = upper(%(method)s))
  AND (%(tag)s::text IS NULL OR %(tag)s = ANY (o.tags))
ORDER BY score DESC, s.catalog_id, s.spec_name, o.position
LIMIT %(depth)s;

-- name: coverage
SELECT count(*) AS specs, count(*) FILTER (WHERE s.published_model_id = %(model_id)s) AS indexed
FROM specs s
WHERE (%(catalogs)s::text[] IS NULL OR s.catalog_id = ANY (%(catalogs)s))
  AND (%(specs)s::text[] IS NULL OR s.spec_name = ANY (%(specs)s));

-- name: found
SELECT o.operation_id, o.method, o.path, o.summary, o.description, o.tags, o.deprecated, s.spec_name, s.catalog_id
FROM unnest(%(spec_ids)s::bigint[], %(revisions)s::int[], %(positions)s::int[])
     WITH ORDINALITY AS hit (spec_id, revision, position, rank)
JOIN operations o USING (spec_id, revision, position)
JOIN specs s ON s.id = o.spec_id
ORDER BY hit.rank;
