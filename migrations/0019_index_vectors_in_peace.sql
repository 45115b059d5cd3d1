-- The index over a model's vectors takes those of one length and refuses none, whatever length is written later. An
-- attempt to make it that came to nothing is not made again at once.

ALTER TABLE models
    ADD COLUMN index_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN index_again_at timestamptz;

CREATE OR REPLACE FUNCTION nearest_texts(model integer, query vector, depth integer) RETURNS TABLE (text_hash bytea)
LANGUAGE plpgsql STABLE
SET hnsw.ef_search = 400
AS $$
BEGIN
    -- Else no more than ef_search are ever found. Not a setting of the function: pgvector before 0.8 knows none of the name.
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'hnsw.iterative_scan') THEN
        PERFORM set_config('hnsw.iterative_scan', 'strict_order', true);
    END IF;
    -- Half precision, as the index has it, where pgvector knows it (since 0.7).
    RETURN QUERY EXECUTE format(
        'SELECT v.text_hash FROM vectors v WHERE v.model_id = %1$s'
        ' ORDER BY (CASE WHEN vector_dims(v.embedding) = %3$s THEN v.embedding END)::%2$s(%3$s) <=> $1::%2$s(%3$s)'
        ' LIMIT %4$s',
        model, CASE WHEN to_regtype('halfvec') IS NULL THEN 'vector' ELSE 'halfvec' END, vector_dims(query), depth
    ) USING query;
END $$;
