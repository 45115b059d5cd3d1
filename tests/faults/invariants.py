"""What must hold after a run, asked of the database with queries of the tests' own and of a journal of their own.

Triggers write the journal, in the transaction of the change itself: it holds every state that a job was ever in, and
every publication. Nothing changes or deletes a row of it.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import DictRow

from tests.ollama_server import vector_of

type Connection = psycopg.Connection[DictRow]

JOURNAL = """
CREATE TABLE fault_journal (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    began timestamptz NOT NULL DEFAULT now(),
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    who text NOT NULL DEFAULT current_setting('application_name'),
    job_id bigint NOT NULL, spec_id bigint, status text NOT NULL, attempts integer NOT NULL, ready_at timestamptz,
    lease_token uuid, lease_expires_at timestamptz, embedded_so_far integer NOT NULL, operation_count integer NOT NULL,
    revision integer NOT NULL, planned_revision integer, planned_model_id integer, fresh_after timestamptz,
    error_code text, held_up boolean NOT NULL
);
CREATE INDEX ON fault_journal (job_id, seq);
CREATE TABLE fault_publications (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    who text NOT NULL DEFAULT current_setting('application_name'),
    spec_id bigint NOT NULL, revision integer NOT NULL, current_revision integer NOT NULL, missing bigint NOT NULL
);
CREATE FUNCTION fault_write_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO fault_journal (job_id, spec_id, status, attempts, ready_at, lease_token, lease_expires_at,
        embedded_so_far, operation_count, revision, planned_revision, planned_model_id, fresh_after, error_code,
        held_up)
    VALUES (NEW.id, NEW.spec_id, NEW.status, NEW.attempts, NEW.ready_at, NEW.lease_token, NEW.lease_expires_at,
        NEW.embedded_so_far, NEW.operation_count, NEW.revision, NEW.planned_revision, NEW.planned_model_id,
        NEW.fresh_after, NEW.error_code, NEW.held_up_since IS NOT NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER fault_journal AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION fault_write_journal();
CREATE FUNCTION fault_write_publication() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO fault_publications (spec_id, revision, current_revision, missing)
    SELECT NEW.id, NEW.published_revision, NEW.current_revision, count(*) FILTER (WHERE v.text_hash IS NULL)
    FROM operations o
    LEFT JOIN vectors v ON v.text_hash = o.text_hash AND v.model_id = NEW.published_model_id
    WHERE o.spec_id = NEW.id AND o.revision = NEW.published_revision;
    RETURN NULL;
END $$;
CREATE TRIGGER fault_publication AFTER UPDATE OF published_revision ON specs
    FOR EACH ROW EXECUTE FUNCTION fault_write_publication();
CREATE FUNCTION fault_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the journal is append-only'; END $$;
CREATE TRIGGER fault_keep BEFORE UPDATE OR DELETE ON fault_journal EXECUTE FUNCTION fault_keep();
CREATE TRIGGER fault_keep BEFORE UPDATE OR DELETE ON fault_publications EXECUTE FUNCTION fault_keep();
"""

# Each returns the rows that break it; the name says what then is wrong.
_FORBIDDEN = {
    "stuck: jobs without an end": "SELECT id, status, attempts FROM jobs WHERE status IN ('pending', 'running')",
    "lost: a current revision that is not published, and no ended job says why": """
        SELECT s.id, s.current_revision, s.published_revision, newest.status
        FROM specs s
        LEFT JOIN LATERAL (SELECT status FROM jobs WHERE spec_id = s.id ORDER BY id DESC LIMIT 1) newest ON true
        WHERE s.published_revision IS DISTINCT FROM s.current_revision
          AND (newest.status IS NULL OR newest.status NOT IN ('failed', 'cancelled'))""",
    "half: published without all its vectors": "SELECT * FROM fault_publications WHERE missing > 0",
    "half: published by a worker whose job did not succeed": """
        SELECT * FROM fault_publications p WHERE who LIKE 'worker%'
          AND NOT EXISTS (SELECT FROM fault_journal j WHERE j.xact = p.xact AND j.status = 'succeeded')""",
    "half: a job that succeeded and did not publish exactly once": """
        SELECT j.job_id, count(p.seq) FROM fault_journal j LEFT JOIN fault_publications p ON p.xact = j.xact
        WHERE j.status = 'succeeded' AND j.who LIKE 'worker%' AND NOT EXISTS (
            SELECT FROM fault_journal e WHERE e.job_id = j.job_id AND e.seq < j.seq AND e.status = 'succeeded')
        GROUP BY j.job_id HAVING count(p.seq) <> 1""",
    "half: published another revision than the current one": """
        SELECT * FROM fault_publications WHERE revision <> current_revision""",
    "backwards: published an older revision after a newer one": """
        SELECT spec_id, revision, earlier FROM (
            SELECT spec_id, revision, lag(revision) OVER (PARTITION BY spec_id ORDER BY seq) AS earlier
            FROM fault_publications) p WHERE revision < earlier""",
    "ended: a job left a terminal state": """
        SELECT * FROM (SELECT job_id, status, lag(status) OVER (PARTITION BY job_id ORDER BY seq) AS earlier
            FROM fault_journal) j
        WHERE earlier IN ('succeeded', 'failed', 'cancelled') AND status <> earlier""",
    "leases: a live one was taken over": """
        SELECT * FROM (
            SELECT job_id, seq, began, status, lease_token, error_code,
                   lag(status) OVER w AS was, lag(lease_token) OVER w AS held, lag(lease_expires_at) OVER w AS until
            FROM fault_journal WINDOW w AS (PARTITION BY job_id ORDER BY seq)) j
        WHERE was = 'running' AND (
            (status = 'running' AND lease_token <> held)
            OR (error_code = 'worker_lost' AND status IN ('pending', 'failed') AND began < until))""",
    "leases: two live ones for one spec": """
        WITH spans AS (
            SELECT job_id, max(spec_id) OVER (PARTITION BY job_id) AS spec_id, status, seq,
                   lead(seq) OVER (PARTITION BY job_id ORDER BY seq) AS until
            FROM fault_journal)
        SELECT a.spec_id, a.job_id, b.job_id AS other FROM spans a JOIN spans b
          ON a.spec_id = b.spec_id AND a.job_id < b.job_id AND a.status = 'running' AND b.status = 'running'
         AND int8range(a.seq, a.until) && int8range(b.seq, b.until)""",
    "leases: written by a worker that did not hold it": """
        SELECT * FROM (
            SELECT job_id, seq, who, status, lease_token, lag(status) OVER w AS was, lag(lease_token) OVER w AS held,
                   first_value(who) OVER (PARTITION BY job_id, lease_token ORDER BY seq) AS claimer
            FROM fault_journal WINDOW w AS (PARTITION BY job_id ORDER BY seq)) j
        WHERE who LIKE 'worker%' AND status IN ('succeeded', 'running') AND was = 'running' AND who <> claimer""",
    "attempts: another step than 0 (yield, cool-down) or 1 (failure, crash)": """
        SELECT * FROM (
            SELECT job_id, seq, who, status, attempts, error_code, held_up,
                   lag(status) OVER w AS was, lag(attempts) OVER w AS before
            FROM fault_journal WINDOW w AS (PARTITION BY job_id ORDER BY seq)) j
        WHERE who <> 'clients' AND (
            (was = 'pending' AND status = 'running' AND attempts <> greatest(before, 1))
            OR (was = 'running' AND status = 'pending' AND attempts - greatest(before, 1) NOT IN (0, 1))
            OR (was = status AND attempts <> before AND NOT (status = 'running' AND before = 0 AND attempts = 1)))""",
    "attempts: the number is not 1 + failures + crashes": """
        SELECT j.id, j.attempts, counted.failures FROM jobs j CROSS JOIN LATERAL (
            SELECT count(*) AS failures FROM job_events e
            WHERE e.job_id = j.id
              AND (e.event = 'retried' OR (e.event = 'lease_lost' AND e.detail ->> 'status' = 'pending'))
              AND e.id > coalesce((SELECT max(id) FROM job_events u WHERE u.job_id = j.id AND u.event = 'upgraded'), 0)
        ) counted
        WHERE j.attempts <> counted.failures + 1 AND NOT (j.attempts = 0 AND j.status IN ('pending', 'cancelled'))""",
    "attempts: more than five": "SELECT * FROM fault_journal WHERE attempts > 5",
    "progress: fell within a job, revision and planning": """
        SELECT * FROM (
            SELECT job_id, seq, who, embedded_so_far, planned_revision, fresh_after, lag(embedded_so_far) OVER (
                PARTITION BY job_id, planned_revision, planned_model_id, fresh_after ORDER BY seq) AS before
            FROM fault_journal WHERE planned_revision IS NOT NULL) j
        WHERE embedded_so_far < before""",
    "progress: more embedded than there are operations": """
        SELECT * FROM fault_journal
        WHERE embedded_so_far > operation_count AND planned_revision = revision
          AND status IN ('running', 'succeeded')""",
    "re-embed: published a vector that is older than it asked for": """
        SELECT j.id, o.position FROM jobs j JOIN specs s ON s.id = j.spec_id
        JOIN operations o ON o.spec_id = s.id AND o.revision = j.revision
        JOIN vectors v ON v.text_hash = o.text_hash AND v.model_id = s.published_model_id
        WHERE j.status = 'succeeded' AND j.revision = s.published_revision AND v.made_at <= j.fresh_after""",
    "models: more than one": """
        SELECT id, published_model_id FROM specs WHERE published_model_id <> (SELECT min(id) FROM models)""",
}
_PUBLISHED = """
    SELECT s.id, o.text, o.text_hash, v.embedding::text AS embedding
    FROM specs s JOIN operations o ON o.spec_id = s.id AND o.revision = s.published_revision
    LEFT JOIN vectors v ON v.text_hash = o.text_hash AND v.model_id = s.published_model_id
"""


def broken(connection: Connection) -> Iterator[str]:
    """Yield one line for each invariant that does not hold, with the first rows that break it."""
    for name, query in _FORBIDDEN.items():
        rows = connection.execute(query.encode()).fetchall()
        if rows:
            yield f"{name} ({len(rows)}): {[dict(row) for row in rows[:3]]}"
    wrong = [row["text"] for row in connection.execute(_PUBLISHED) if not _is_right(row)]
    if wrong:
        yield f"wrong vectors ({len(wrong)}): {wrong[:3]}"


def _is_right(row: dict[str, Any]) -> bool:
    if row["embedding"] is None or hashlib.sha256(b"1\n" + row["text"].encode()).digest() != bytes(row["text_hash"]):
        return False
    wanted, stored = vector_of(row["text"]), json.loads(row["embedding"])
    length = math.hypot(*wanted)
    return len(stored) == len(wanted) and all(
        math.isclose(one, other / length, abs_tol=1e-5) for one, other in zip(stored, wanted, strict=True)
    )
