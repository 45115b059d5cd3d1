-- The log of each job.

-- name: log_event
INSERT INTO job_events (job_id, event, detail) VALUES (%(job_id)s, %(event)s, %(detail)s);
