-- API keys. The time-limited ones end by the database's clock.

-- name: create_key
INSERT INTO keys (id, name, role, key_sha256, expires_at)
VALUES (%(id)s, %(name)s, %(role)s, %(key_sha256)s, %(expires_at)s)
RETURNING id, name, role, created_at, expires_at, last_used_at;

-- name: list_keys
SELECT id, name, role, created_at, expires_at, last_used_at FROM keys ORDER BY created_at, id;

-- name: delete_key
DELETE FROM keys WHERE id = %(id)s RETURNING id;

-- name: possible_keys
-- By the beginning of the hash. The whole of it is compared by the caller.
SELECT id, name, role, created_at, expires_at, last_used_at, key_sha256,
       coalesce(last_used_at < now() - interval '1 hour', true) AS use_is_news
FROM keys
WHERE substr(key_sha256, 1, 8) = %(beginning)s AND (expires_at IS NULL OR expires_at > now());

-- name: note_use
-- A request never waits for another one that notes the same, or for a deletion.
UPDATE keys SET last_used_at = now() WHERE id = (SELECT id FROM keys WHERE id = %(id)s FOR NO KEY UPDATE SKIP LOCKED);

-- name: keep_first_admin_key
INSERT INTO keys (id, name, role, key_sha256) VALUES (%(id)s, 'First admin', 'admin', %(key_sha256)s)
ON CONFLICT (id) DO UPDATE SET role = 'admin', key_sha256 = excluded.key_sha256, expires_at = NULL, last_used_at = NULL
WHERE keys.key_sha256 <> excluded.key_sha256 OR keys.role <> 'admin' OR keys.expires_at IS NOT NULL
RETURNING id;
