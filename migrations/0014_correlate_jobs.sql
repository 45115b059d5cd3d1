-- Which request a job goes back to, for the logs. Jobs of before have none.
ALTER TABLE jobs ADD COLUMN correlation_id text;
