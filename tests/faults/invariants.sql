-- What must never be: each statement returns the rows that break it. What a name begins with says which figure it
-- spoils.

-- name: stuck_jobs_without_an_end
SELECT id, status, attempts FROM jobs WHERE status IN ('pending', 'running');

-- name: lost_current_revision_that_is_not_published_and_no_ended_job_says_why
SELECT s.id, s.current_revision, s.published_revision, newest.status
FROM specs s
LEFT JOIN LATERAL (SELECT status FROM jobs WHERE spec_id = s.id ORDER BY id DESC LIMIT 1) newest ON true
WHERE s.published_revision IS DISTINCT FROM s.current_revision
  AND (newest.status IS NULL OR newest.status NOT IN ('failed', 'cancelled'));

-- name: half_published_without_all_its_vectors
SELECT * FROM fault_publications WHERE missing > 0;

-- name: half_published_by_a_worker_whose_job_did_not_succeed
SELECT * FROM fault_publications p WHERE starts_with(who, 'worker')
  AND NOT EXISTS (
      SELECT FROM fault_journal j WHERE j.xact = p.xact AND j.spec_id = p.spec_id AND j.status = 'succeeded');

-- name: half_job_that_succeeded_and_did_not_publish_exactly_once
SELECT j.job_id, count(p.seq)
FROM fault_journal j LEFT JOIN fault_publications p ON p.xact = j.xact AND p.spec_id = j.spec_id
WHERE j.status = 'succeeded' AND starts_with(j.who, 'worker') AND NOT EXISTS (
    SELECT FROM fault_journal e WHERE e.job_id = j.job_id AND e.seq < j.seq AND e.status = 'succeeded')
GROUP BY j.job_id HAVING count(p.seq) <> 1;

-- name: half_published_another_revision_than_the_current_one
SELECT * FROM fault_publications WHERE revision <> current_revision;

-- name: backwards_published_an_older_revision_after_a_newer_one
SELECT spec_id, revision, earlier FROM (
    SELECT spec_id, revision, lag(revision) OVER (PARTITION BY spec_id ORDER BY seq) AS earlier
    FROM fault_publications) p
WHERE revision < earlier;

-- name: ended_job_left_a_terminal_state
SELECT * FROM (
    SELECT job_id, status, lag(status) OVER (PARTITION BY job_id ORDER BY seq) AS earlier FROM fault_journal) j
WHERE earlier IN ('succeeded', 'failed', 'cancelled') AND status <> earlier;

-- name: leases_a_live_one_was_taken_over
-- A lapsed one may be: the transaction that takes it began after its end.
SELECT * FROM (
    SELECT job_id, seq, began, who, status, lease_token, error_code,
           lag(status) OVER w AS was, lag(lease_token) OVER w AS held, lag(lease_expires_at) OVER w AS until,
           first_value(who) OVER (PARTITION BY job_id, lease_token ORDER BY seq) AS holder
    FROM fault_journal WINDOW w AS (PARTITION BY job_id ORDER BY seq)) j
WHERE was = 'running' AND (
    (status = 'running' AND lease_token <> held)
    OR (status IN ('pending', 'failed', 'succeeded') AND who <> holder
        AND (error_code IS DISTINCT FROM 'worker_lost' OR began < until)));

-- name: leases_two_live_ones_for_one_spec
-- Of two jobs; a job has but one lease at a time. A job that was deleted with its spec is the spec's all the same.
WITH spans AS (
    SELECT job_id, max(spec_id) OVER (PARTITION BY job_id) AS spec_id, status, seq,
           lead(seq) OVER (PARTITION BY job_id ORDER BY seq) AS until
    FROM fault_journal
)
SELECT a.spec_id, a.job_id, b.job_id AS other FROM spans a JOIN spans b
  ON a.spec_id = b.spec_id AND a.job_id < b.job_id AND a.status = 'running' AND b.status = 'running'
 AND int8range(a.seq, a.until) && int8range(b.seq, b.until);

-- name: leases_written_by_a_worker_that_did_not_hold_it
SELECT * FROM (
    SELECT job_id, seq, who, status, lease_token, lag(status) OVER w AS was,
           first_value(who) OVER (PARTITION BY job_id, lease_token ORDER BY seq) AS holder
    FROM fault_journal WINDOW w AS (PARTITION BY job_id ORDER BY seq)) j
WHERE starts_with(who, 'worker') AND status IN ('succeeded', 'running') AND was = 'running' AND who <> holder;

-- name: leases_vectors_written_by_a_worker_that_did_not_hold_a_job
SELECT who, at, count(*) FROM fault_vectors v
WHERE starts_with(who, 'worker') AND is_made AND NOT EXISTS (
    SELECT FROM fault_journal j WHERE j.xact = v.xact AND j.who = v.who AND j.status IN ('running', 'succeeded'))
GROUP BY who, at;

-- name: attempts_another_step_than_none_or_one
SELECT * FROM (
    SELECT job_id, seq, who, status, attempts, error_code, held_up,
           lag(status) OVER w AS was, lag(attempts) OVER w AS before
    FROM fault_journal WINDOW w AS (PARTITION BY job_id ORDER BY seq)) j
WHERE who <> 'clients' AND (
    (was = 'pending' AND status = 'running' AND attempts <> greatest(before, 1))
    OR (was = 'running' AND status = 'pending' AND attempts - greatest(before, 1) NOT IN (0, 1))
    OR (was = 'running' AND status IN ('succeeded', 'failed', 'cancelled') AND attempts <> before)
    OR (was = status AND attempts <> before AND NOT (status = 'running' AND before = 0 AND attempts = 1)));

-- name: attempts_more_than_five
SELECT * FROM fault_journal WHERE attempts > 5;

-- name: attempts_a_crash_that_was_not_counted
-- A lapsed lease is a crash, and each kill that left a job behind makes one lapse.
SELECT l.*, k.at AS killed_at FROM fault_leases l
LEFT JOIN fault_kills k ON k.job_id = l.job_id AND k.lease_token = l.lease_token AND l.left_at > k.at
WHERE (l.has_lapsed AND (l.left_to, l.attempts) NOT IN (('pending', l.attempts_before + 1), ('failed', 5)))
   OR (k.at IS NOT NULL AND NOT l.has_lapsed AND l.left_by <> 'clients');

-- name: attempts_a_failure_that_was_not_counted
-- The holder handed the job back as if nothing had failed, though the provider failed it and did nothing else to it.
SELECT l.* FROM fault_leases l
WHERE l.left_by = l.holder AND NOT l.has_lapsed AND l.left_to = 'pending' AND l.attempts = l.attempts_before
  AND l.holder NOT IN (SELECT who FROM fault_freezes)
  AND EXISTS (SELECT FROM fault_calls_of_leases c WHERE c.job_id = l.job_id AND c.number = l.number
              AND c.verdict = 'failed' AND c.ended < l.left_at)
  AND NOT EXISTS (SELECT FROM fault_calls_of_leases c WHERE c.job_id = l.job_id AND c.number = l.number
                  AND c.verdict IN ('away', 'slow'));

-- name: attempts_one_spent_although_nothing_failed
SELECT l.* FROM fault_leases l
WHERE l.left_by = l.holder AND NOT l.has_lapsed AND l.left_to = 'pending' AND l.attempts > l.attempts_before
  AND NOT EXISTS (SELECT FROM fault_calls_of_leases c WHERE c.job_id = l.job_id AND c.number = l.number
                  AND c.verdict IN ('failed', 'slow'));

-- name: attempts_the_number_is_not_one_and_the_failures_and_crashes
-- Since a client last gave the job all its attempts. The last failure, which ends it, adds none.
WITH renewed AS (
    SELECT job_id, max(seq) AS seq FROM (
        SELECT job_id, seq, who, status, attempts, lag(attempts) OVER (PARTITION BY job_id ORDER BY seq) AS before
        FROM fault_journal) j
    WHERE before IS NULL OR (who = 'clients' AND status IN ('pending', 'running'))
    GROUP BY job_id
), counted AS (
    SELECT j.id, j.attempts, j.status,
           count(*) FILTER (WHERE l.has_lapsed) AS crashes,
           count(*) FILTER (WHERE NOT l.has_lapsed AND l.attempts > l.attempts_before) AS failures,
           count(l.job_id) AS claims
    FROM jobs j JOIN renewed r ON r.job_id = j.id
    LEFT JOIN fault_leases l ON l.job_id = j.id AND l.end_seq > r.seq AND l.left_to = 'pending'
    GROUP BY j.id
)
SELECT * FROM counted
WHERE attempts <> 1 + crashes + failures AND NOT (attempts = 0 AND claims = 0 AND status IN ('pending', 'cancelled'));

-- name: repeated_text_that_had_its_vector_when_the_job_was_claimed
-- Claims see what was committed before them. The second between leaves no doubt about which came first.
WITH asked AS (
    SELECT c.job_id, c.number, c.claim_began, c.seen, fresh.after, text,
           sha256(convert_to(%(scheme)s || E'\n' || text, 'UTF8')) AS text_hash
    FROM fault_calls_of_leases c
    CROSS JOIN LATERAL unnest(c.texts) AS text
    JOIN (SELECT job_id, max(fresh_after) AS after FROM fault_journal GROUP BY job_id) fresh ON fresh.job_id = c.job_id
)
SELECT a.job_id, a.number, a.text, v.at AS made_at, a.claim_began FROM asked a JOIN fault_vectors v
  ON v.text_hash = a.text_hash AND v.is_made AND pg_visible_in_snapshot(v.xact, a.seen)
 AND v.at < a.claim_began - interval '1 s' AND (a.after IS NULL OR v.at > a.after)
WHERE NOT EXISTS (
    SELECT FROM fault_vectors f WHERE f.text_hash = v.text_hash AND NOT f.is_made AND f.seq > v.seq);

-- name: repeated_text_that_the_same_worker_had_written
WITH asked AS (
    SELECT c.job_id, c.number, c.holder, c.claimed_at, c.began, fresh.after, text,
           sha256(convert_to(%(scheme)s || E'\n' || text, 'UTF8')) AS text_hash
    FROM fault_calls_of_leases c
    CROSS JOIN LATERAL unnest(c.texts) AS text
    JOIN (SELECT job_id, max(fresh_after) AS after FROM fault_journal GROUP BY job_id) fresh ON fresh.job_id = c.job_id
)
SELECT a.job_id, a.number, a.text, v.at AS made_at, a.began FROM asked a JOIN fault_vectors v
  ON v.text_hash = a.text_hash AND v.is_made AND v.who = a.holder
 AND v.at BETWEEN a.claimed_at AND a.began AND (a.after IS NULL OR v.at > a.after)
WHERE NOT EXISTS (
    SELECT FROM fault_vectors f WHERE f.text_hash = v.text_hash AND NOT f.is_made AND f.seq > v.seq);

-- name: repeated_more_answers_went_unwritten_than_were_under_way_and_one_chunk
-- What is not written is sent again. A holder that ended its lease itself had written all that had come back.
-- What it had planned for and somebody else wrote meanwhile needs no writing; five seconds are for commits that take
-- long.
WITH unwritten AS (
    SELECT c.* FROM fault_calls_of_leases c
    WHERE c.verdict = 'good' AND NOT EXISTS (
        SELECT FROM unnest(c.texts) AS text JOIN fault_vectors v
          ON v.text_hash = sha256(convert_to(%(scheme)s || E'\n' || text, 'UTF8')) AND v.is_made
         AND v.at > c.claimed_at - interval '5 s' AND (c.left_at IS NULL OR v.at <= c.left_at))
)
SELECT job_id, number, holder, left_by, count(*) AS calls,
       count(*) FILTER (WHERE ended < left_at - interval '0.3 s') AS had_come_back
FROM unwritten GROUP BY job_id, number, holder, left_by, has_lapsed
HAVING count(*) > %(calls_in_flight)s + 1
    OR (left_by = holder AND NOT has_lapsed AND holder NOT IN (SELECT who FROM fault_freezes)
        AND count(*) FILTER (WHERE ended < left_at - interval '0.3 s') > 0);

-- name: progress_fell_within_a_job_revision_and_planning
SELECT * FROM (
    SELECT job_id, seq, who, embedded_so_far, planned_revision, fresh_after, lag(embedded_so_far) OVER (
        PARTITION BY job_id, planned_revision, planned_model_id, fresh_after ORDER BY seq) AS before
    FROM fault_journal WHERE planned_revision IS NOT NULL) j
WHERE embedded_so_far < before;

-- name: progress_more_embedded_than_there_are_operations
SELECT * FROM fault_journal
WHERE embedded_so_far > operation_count AND planned_revision = revision AND status IN ('running', 'succeeded');

-- name: old_vector_published_that_is_older_than_the_re_embed
SELECT j.id, o.position FROM jobs j JOIN specs s ON s.id = j.spec_id
JOIN operations o ON o.spec_id = s.id AND o.revision = j.revision
JOIN vectors v ON v.text_hash = o.text_hash AND v.model_id = s.published_model_id
WHERE j.status = 'succeeded' AND j.revision = s.published_revision AND v.made_at <= j.fresh_after;

-- name: models_more_than_one
SELECT id, published_model_id FROM specs WHERE published_model_id <> (SELECT min(id) FROM models);
