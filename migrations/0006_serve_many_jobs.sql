-- What keeps each query cheap at a million finished jobs, and each write of a worker too.

-- A job's row is rewritten at every chunk and renewal. What these change is in no index, so that they touch none (a
-- heap-only update); the few running jobs are found by this partial index, whatever their leases.
DROP INDEX jobs_leases;
CREATE INDEX jobs_running ON jobs (id) WHERE status = 'running';

-- A catalog's jobs of each status, newest first; a listing merges the statuses. By -id, an order that the primary key does
-- not have: the planner would rather walk that, through all jobs where few have the status.
DROP INDEX jobs_by_catalog;
CREATE INDEX jobs_by_catalog ON jobs (catalog_id, status, (-id));

-- A spec's jobs are found by its id, those of one that was deleted by the name that it had.
CREATE INDEX jobs_of_deleted_specs ON jobs (catalog_id, spec_name, id DESC) WHERE spec_id IS NULL;

-- At most one a spec: found when a job is opened for the spec, and by the sweep.
DROP INDEX jobs_parked;
CREATE INDEX jobs_parked ON jobs (spec_id, next_try_at) WHERE next_try_at IS NOT NULL;

-- Whether a stored revision still has the text of a vector.
CREATE INDEX operations_by_text ON operations (text_hash);
