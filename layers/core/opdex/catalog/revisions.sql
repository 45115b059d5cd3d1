-- The revisions of a spec.

-- name: stored_operations
SELECT operation_id, method, path, summary, description, tags, deprecated, text_hash
FROM operations WHERE spec_id = %(spec_id)s AND revision = %(revision)s;

-- name: stored_revision
SELECT content_sha256, base_path, webhooks FROM revisions WHERE spec_id = %(spec_id)s AND revision = %(revision)s;

-- name: add_revision
INSERT INTO revisions (spec_id, revision, content_sha256, content, bytes, base_path, title, openapi_version,
                       operation_count, warnings, webhooks, text_scheme)
VALUES (%(spec_id)s, %(revision)s, %(content_sha256)s, %(content)s, %(bytes)s, %(base_path)s, %(title)s,
        %(openapi_version)s, %(operation_count)s, %(warnings)s, %(webhooks)s, %(text_scheme)s);

-- name: copy_operations
COPY stored_operations (spec_id, revision, position, operation_id, method, path, summary, description, tags, deprecated,
                        text, text_hash, name_words) FROM STDIN;

-- name: note_text_scheme
-- Never back: during a deploy the release before is still there, to which texts of the new one are as good.
UPDATE revisions SET text_scheme = %(text_scheme)s
WHERE spec_id = %(spec_id)s AND revision = %(revision)s AND text_scheme < %(text_scheme)s;
