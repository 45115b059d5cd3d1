-- Keeping a catalog in place.

-- name: hold_catalog
SELECT id FROM catalogs WHERE id = %(catalog_id)s FOR KEY SHARE;
