-- Specs that come from a URL.

-- name: begin_fetch
-- Counted as failed until it has succeeded: one that takes its function with it must not be tried again at once.
UPDATE specs SET
    fetch_failures = fetch_failures + 1,
    next_fetch_at = CASE WHEN refresh_hours > 0
                         THEN now() + least(interval '1 day', interval '10 minutes' * 2 ^ least(fetch_failures, 10)) END
WHERE catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s AND source_kind = 'url'
RETURNING id AS spec_id, catalog_id, spec_name, current_revision AS revision, source_url, given_base_path, etag,
          last_modified;

-- name: begin_due_fetch
-- The same for the one that has been due longest; at none of the hosts that took long just now.
UPDATE specs SET
    fetch_failures = fetch_failures + 1,
    next_fetch_at = now() + least(interval '1 day', interval '10 minutes' * 2 ^ least(fetch_failures, 10))
WHERE id = (
    SELECT id FROM specs
    WHERE next_fetch_at <= now() AND source_kind = 'url'
      AND split_part(source_url, '/', 3) <> ALL(%(slow_hosts)s::text[])
    ORDER BY next_fetch_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id AS spec_id, catalog_id, spec_name, current_revision AS revision, source_url, given_base_path, etag,
          last_modified;

-- name: lock_if_unchanged
SELECT id FROM specs
WHERE id = %(spec_id)s AND source_kind = 'url' AND source_url = %(source_url)s AND current_revision = %(revision)s
FOR NO KEY UPDATE;

-- name: note_unchanged
UPDATE specs SET
    last_fetched_at = now(), fetch_failures = 0,
    next_fetch_at = CASE WHEN refresh_hours > 0 THEN now() + make_interval(hours => refresh_hours) END,
    last_fetch_error = NULL, last_fetch_error_code = NULL, last_fetch_failed_at = NULL
WHERE id = %(spec_id)s;

-- name: note_failure
UPDATE specs SET last_fetch_error = %(error)s, last_fetch_error_code = %(code)s, last_fetch_failed_at = now()
WHERE catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s AND source_kind = 'url' AND source_url = %(source_url)s;

-- name: set_schedule
UPDATE specs SET
    refresh_hours = %(hours)s,
    next_fetch_at = CASE WHEN %(hours)s > 0 THEN now() + make_interval(hours => %(hours)s) END
WHERE catalog_id = %(catalog_id)s AND spec_name = %(spec_name)s AND source_kind = 'url'
RETURNING id;
