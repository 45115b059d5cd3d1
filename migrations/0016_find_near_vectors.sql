-- Nearest neighbours: over all vectors of one model, by an index that the sweep makes once they are many (HNSW on half
-- precision, one a model: vectors of several dimensions share the table). Without one the answer is the same, later.

CREATE FUNCTION nearest_texts(model integer, query vector, depth integer) RETURNS TABLE (text_hash bytea)
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
        'SELECT v.text_hash FROM vectors v WHERE v.model_id = %s ORDER BY v.embedding::%s(%s) <=> $1::%2$s(%3$s) LIMIT %s',
        model, CASE WHEN to_regtype('halfvec') IS NULL THEN 'vector' ELSE 'halfvec' END, vector_dims(query), depth
    ) USING query;
END $$;
