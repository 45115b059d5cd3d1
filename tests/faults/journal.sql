-- The tests' own journal. Triggers write it, in the transaction of the change itself: every state that a job was ever
-- in, every publication, every vector made or forgotten. Nothing changes or deletes a row of it.

CREATE TABLE fault_journal (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    began timestamptz NOT NULL DEFAULT now(),
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seen pg_snapshot NOT NULL DEFAULT pg_current_snapshot(),
    who text NOT NULL DEFAULT current_setting('application_name'),
    job_id bigint NOT NULL, spec_id bigint, status text NOT NULL, attempts integer NOT NULL, ready_at timestamptz,
    lease_token uuid, lease_expires_at timestamptz, embedded_so_far integer NOT NULL, operation_count integer NOT NULL,
    revision integer NOT NULL, planned_revision integer, planned_model_id integer, fresh_after timestamptz,
    error_code text, held_up boolean NOT NULL
);
CREATE INDEX ON fault_journal (job_id, seq);
CREATE INDEX ON fault_journal (xact);
CREATE FUNCTION fault_write_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    -- Whoever brings a wake-up on counts it, and changes nothing else.
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - 'watch_round' = to_jsonb(NEW) - 'watch_round' THEN RETURN NULL; END IF;
    INSERT INTO fault_journal (job_id, spec_id, status, attempts, ready_at, lease_token, lease_expires_at,
        embedded_so_far, operation_count, revision, planned_revision, planned_model_id, fresh_after, error_code,
        held_up)
    VALUES (NEW.id, NEW.spec_id, NEW.status, NEW.attempts, NEW.ready_at, NEW.lease_token, NEW.lease_expires_at,
        NEW.embedded_so_far, NEW.operation_count, NEW.revision, NEW.planned_revision, NEW.planned_model_id,
        NEW.fresh_after, NEW.error_code, NEW.held_up_since IS NOT NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER fault_journal AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION fault_write_journal();

CREATE TABLE fault_publications (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    who text NOT NULL DEFAULT current_setting('application_name'),
    spec_id bigint NOT NULL, revision integer NOT NULL, current_revision integer NOT NULL, missing bigint NOT NULL
);
CREATE INDEX ON fault_publications (xact);
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

CREATE TABLE fault_vectors (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    who text NOT NULL DEFAULT current_setting('application_name'),
    is_made boolean NOT NULL, text_hash bytea NOT NULL
);
CREATE INDEX ON fault_vectors (text_hash);
CREATE FUNCTION fault_write_vectors() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    -- What the tests make older may be dropped or made again: it is as good as forgotten.
    INSERT INTO fault_vectors (is_made, text_hash)
    SELECT TG_OP <> 'DELETE' AND current_setting('application_name') <> 'clock', text_hash FROM changed;
    RETURN NULL;
END $$;
CREATE TRIGGER fault_vectors_made AFTER INSERT ON vectors REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION fault_write_vectors();
CREATE TRIGGER fault_vectors_made_again AFTER UPDATE ON vectors REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION fault_write_vectors();
CREATE TRIGGER fault_vectors_forgotten AFTER DELETE ON vectors REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION fault_write_vectors();

CREATE FUNCTION fault_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the journal is append-only'; END $$;
CREATE TRIGGER fault_keep BEFORE UPDATE OR DELETE ON fault_journal EXECUTE FUNCTION fault_keep();
CREATE TRIGGER fault_keep BEFORE UPDATE OR DELETE ON fault_publications EXECUTE FUNCTION fault_keep();
CREATE TRIGGER fault_keep BEFORE UPDATE OR DELETE ON fault_vectors EXECUTE FUNCTION fault_keep();

-- What the harness itself knows, written at the end of a run: whom it killed while what was held, whom it froze or gave
-- calls a shorter time, and what the provider was asked and answered.
CREATE TABLE fault_kills (
    who text NOT NULL, job_id bigint NOT NULL, lease_token uuid NOT NULL, at timestamptz NOT NULL
);
CREATE TABLE fault_freezes (who text NOT NULL);
CREATE TABLE fault_calls (
    who text NOT NULL, began timestamptz NOT NULL, ended timestamptz NOT NULL,
    -- good: answered in time; away: throttled, refused, cut or too slow, which spends no attempt; failed: which does
    verdict text NOT NULL CHECK (verdict IN ('good', 'away', 'failed', 'slow')),
    texts text[] NOT NULL
);

-- Each time that a job was held: by whom, from when, who ended it how, and whether that was because its lease had
-- lapsed.
CREATE MATERIALIZED VIEW fault_leases AS
WITH steps AS (
    SELECT *, lag(status) OVER w AS was, lag(attempts) OVER w AS attempts_before, lag(lease_expires_at) OVER w AS until
    FROM fault_journal WINDOW w AS (PARTITION BY job_id ORDER BY seq)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE status = 'running' AND was IS DISTINCT FROM 'running')
                  OVER (PARTITION BY job_id ORDER BY seq) AS number
    FROM steps
), ends AS (
    SELECT * FROM numbered WHERE was = 'running' AND status <> 'running'
)
SELECT c.job_id, c.number, c.lease_token, c.who AS holder, c.at AS claimed_at, c.began AS claim_began, c.seen,
       lead(c.at) OVER (PARTITION BY c.who ORDER BY c.seq) AS next_claim_at,
       e.seq AS end_seq, e.at AS left_at, e.who AS left_by, e.status AS left_to, e.error_code,
       e.attempts, greatest(e.attempts_before, 1) AS attempts_before,
       e.who <> 'clients' AND (e.who <> c.who OR (e.error_code = 'worker_lost' AND e.began > e.until)) AS has_lapsed
FROM numbered c LEFT JOIN ends e ON e.job_id = c.job_id AND e.number = c.number
WHERE c.status = 'running' AND c.was IS DISTINCT FROM 'running'
WITH NO DATA;
CREATE INDEX ON fault_leases (job_id, number);

-- The provider's calls, each with the lease under which it was made.
CREATE MATERIALIZED VIEW fault_calls_of_leases AS
SELECT l.job_id, l.number, l.holder, l.claimed_at, l.claim_began, l.seen, l.left_at, l.left_by, l.has_lapsed,
       c.began, c.ended, c.verdict, c.texts
FROM fault_leases l JOIN fault_calls c
  ON c.who = l.holder AND c.began >= l.claimed_at AND (l.next_claim_at IS NULL OR c.began < l.next_claim_at)
WITH NO DATA;
CREATE INDEX ON fault_calls_of_leases (job_id, number);
