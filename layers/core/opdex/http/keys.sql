-- API keys. The time-limited ones end by the database's clock.

-- name: create_key
INSERT INTO keys (id, name, role, key_sha256, expires_at)
VALUES (%(id)s, %(name)s, %(role)s, %(key_sha256)s, %(expires_at)s)
RETURNING id, name, role, created_at, expires_at

-- name: list_keys
SELECT id, name, role, created_at, expires_at FROM keys ORDER BY created_at, id

-- name: delete_key
DELETE FROM keys WHERE id = %(id)s RETURNING id

-- name: find_key
SELECT id, name, role, created_at, expires_at FROM keys
WHERE key_sha256 = %(key_sha256)s AND (expires_at IS NULL OR expires_at > now())
