-- Nearest neighbours: over all vectors of one model, by an index that the sweep makes once they are many (HNSW on half
-- precision, one a model: vectors of several dimensions share the table). Without one the answer is the same, later.

CREATE FUNCTION nearest_texts(model integer, query vector, depth integer) RETURNS TABLE (text_hash bytea)
LANGUAGE plpgsql STABLE
SET hnsw.ef_search = 400
SET hnsw.iterative_scan = strict_order
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT v.text_hash FROM vectors v WHERE v.model_id = %s ORDER BY v.embedding::halfvec(%s) <=> $1::halfvec(%2$s) LIMIT %s',
        model, vector_dims(query), depth
    ) USING query;
END $$;
