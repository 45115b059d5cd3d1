"""A database that has been busy: thousands of specs and a million finished jobs, made set by set."""

from psycopg import Connection

SPECS_A_CATALOG = 100
MODEL = "scale"
# Of a hundred specs: so many whose newest job failed for good or is parked, was cancelled, waits, or runs.
FAILED, PARKED, CANCELLED, PENDING, RUNNING = 2, 1, 1, 1, 1

_STATEMENTS = (
    """
    INSERT INTO models (provider, model, dimension) VALUES ('scale', 'scale', 4)
    """,
    """
    INSERT INTO catalogs (id, name, version)
    SELECT format('catalog-%%s', n), format('catalog-%%s', n), '1'
    FROM generate_series(0, (%(specs)s - 1) / %(specs_a_catalog)s) AS n
    """,
    # Every tenth spec has three revisions, and every hundredth an unpublished current one.
    """
    INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision, published_revision, published_model_id)
    SELECT format('catalog-%%s', n / %(specs_a_catalog)s), format('spec-%%s', n), 'upload', stored.newest,
           CASE WHEN n %% 100 >= %(open)s THEN stored.newest END, CASE WHEN n %% 100 >= %(open)s THEN model.id END
    FROM generate_series(0, %(specs)s - 1) AS n,
         LATERAL (SELECT CASE WHEN n %% 10 = 9 THEN 3 ELSE 1 END AS newest) stored,
         (SELECT id FROM models WHERE model = 'scale') model
    ORDER BY n
    """,
    """
    INSERT INTO revisions (spec_id, revision, content_sha256, content, bytes, openapi_version, operation_count)
    SELECT s.id, revision, encode(sha256(s.spec_name::bytea), 'hex'), 'content', 7, '3.1.0', 1
    FROM specs s, generate_series(1, s.current_revision) AS revision
    """,
    """
    INSERT INTO stored_operations (spec_id, revision, position, operation_id, method, path, text, text_hash, name_words)
    SELECT r.spec_id, r.revision, 0, 'read', 'GET', '/read', text, sha256(text::bytea), 'read'
    FROM revisions r, LATERAL (SELECT format('Read %%s of revision %%s', r.spec_id, r.revision) AS text) described
    """,
    """
    INSERT INTO vectors (model_id, text_hash, embedding)
    SELECT m.id, o.text_hash, '[1,0,0,0]' FROM operations o, models m WHERE m.model = 'scale'
    """,
    # Job n belongs to spec n modulo the specs: all specs have been busy all the time, up to a moment ago.
    """
    INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, status, attempts, revision, operation_count,
                      created_at, started_at, ready_at, updated_at, completed_at, last_error, error_code)
    SELECT s.id, s.catalog_id, s.spec_name, 'spec_write', ended.status, 1, s.current_revision, 1,
           made.at, made.at, made.at, made.at, made.at, CASE ended.status WHEN 'failed' THEN 'scripted' ELSE '' END,
           CASE ended.status WHEN 'failed' THEN 'provider_failed' END
    FROM generate_series(0, %(jobs)s - 1) AS n
    JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS number FROM specs) s ON s.number = n %% %(specs)s,
    LATERAL (SELECT now() - make_interval(secs => %(days)s * 86400.0 * (%(jobs)s - n) / %(jobs)s) AS at) made,
    LATERAL (
        SELECT CASE WHEN n / %(specs)s %% 20 = 0 THEN 'failed' WHEN n / %(specs)s %% 20 = 1 THEN 'cancelled'
                    ELSE 'succeeded' END AS status
    ) ended
    ORDER BY n
    """,
    """
    INSERT INTO job_events (job_id, at, event) SELECT id, completed_at, 'published' FROM jobs ORDER BY id
    """,
    # The newest job of some specs is open, failed, parked or was cancelled.
    """
    WITH newest AS (
        SELECT DISTINCT ON (s.id) j.id, (s.id - first.id) %% 100 AS place
        FROM specs s, LATERAL (SELECT id FROM jobs WHERE spec_id = s.id ORDER BY id DESC LIMIT 1) j,
             (SELECT min(id) AS id FROM specs) first
    )
    UPDATE jobs j SET
        status = now_is.status,
        completed_at = CASE WHEN now_is.status IN ('pending', 'running') THEN NULL ELSE j.completed_at END,
        lease_token = CASE WHEN now_is.status = 'running' THEN gen_random_uuid() END,
        lease_expires_at = CASE WHEN now_is.status = 'running' THEN now() + interval '1 hour' END,
        next_try_at = CASE WHEN place BETWEEN %(open)s AND %(open)s + %(parked)s - 1 THEN now() + interval '1 hour' END
    FROM newest, LATERAL (
        SELECT CASE WHEN place < %(pending)s THEN 'pending' WHEN place < %(open)s THEN 'running'
                    WHEN place < %(open)s + %(parked)s + %(failed)s THEN 'failed'
                    WHEN place < %(open)s + %(parked)s + %(failed)s + %(cancelled)s THEN 'cancelled'
                    ELSE 'succeeded' END AS status
    ) now_is
    WHERE j.id = newest.id
    """,
)


def fill(connection: Connection[object], *, specs: int = 10_000, jobs: int = 1_000_000, days: float = 13) -> None:
    """Fill a migrated, empty database: specs, 100 a catalog, and jobs that finished over the last ``days``, the newest
    of a few specs aside: those are open, parked, failed or cancelled. The connection is in autocommit mode.
    """
    values = {
        "specs": specs, "jobs": jobs, "days": days, "specs_a_catalog": SPECS_A_CATALOG,
        "pending": PENDING, "open": PENDING + RUNNING, "parked": PARKED, "failed": FAILED, "cancelled": CANCELLED,
    }  # fmt: skip
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = off")
        for statement in _STATEMENTS:
            connection.execute(statement, values)
    connection.execute("VACUUM (ANALYZE)")
