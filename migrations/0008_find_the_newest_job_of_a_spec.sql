-- By -id, an order that the primary key does not have: where one spec has most of the jobs, the planner would rather walk
-- that, through all jobs, for the newest one of another spec.

DROP INDEX jobs_by_spec;
CREATE INDEX jobs_by_spec ON jobs (spec_id, (-id));
