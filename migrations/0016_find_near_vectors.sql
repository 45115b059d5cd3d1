-- Nearest neighbours: over all vectors of one model, by an index that the sweep makes once they are many (HNSW on half
-- precision, one a model: vectors of several dimensions share the table). Without one the answer is the same, later. It
-- takes vectors of one length and refuses none, whatever length is written later. An attempt that came to nothing is not
-- made again at once.

ALTER TABLE models
    ADD COLUMN index_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN index_again_at timestamptz;

CREATE FUNCTION nearest_texts(model integer, query vector, depth integer) RETURNS TABLE (text_hash bytea)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    -- Not settings of the function: where pgvector is not loaded yet, only a superuser may give one such.
    PERFORM set_config('hnsw.ef_search', '400', true);
    -- Else no more than these are ever found; pgvector before 0.8 knows none of the name.
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
