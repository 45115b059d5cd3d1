-- Jobs and what happened to them. The states and who moves them: docs/architecture.md.

CREATE TABLE jobs (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    spec_id          bigint REFERENCES specs ON DELETE SET NULL,
    catalog_id       text NOT NULL,
    spec_name        text NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('spec_write', 'reconciler', 'manual_retry')),
    status           text NOT NULL DEFAULT 'pending'
                     CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')),
    attempts         integer NOT NULL DEFAULT 0,
    ready_at         timestamptz NOT NULL DEFAULT now(),
    lease_token      uuid,                         -- of the newest claim; it fences only while the job runs
    lease_expires_at timestamptz,
    revision         integer NOT NULL,
    operation_count  integer NOT NULL,
    embedded_so_far  integer NOT NULL DEFAULT 0,
    reused           integer NOT NULL DEFAULT 0,
    planned_revision integer,                      -- the revision that the three counts above were planned for,
    planned_model_id integer,                      -- and the model
    slice_embedded   integer NOT NULL DEFAULT 0,   -- embedded_so_far when the slice under way began
    slices           integer NOT NULL DEFAULT 0,
    idle_slices      integer NOT NULL DEFAULT 0,   -- in a row, without a new vector, cool-downs aside
    fresh_after      timestamptz,                  -- a re-embed: only vectors made after it count as reused
    held_up_since    timestamptz,                  -- nothing but throttles and an absent provider since then
    parkings         integer NOT NULL DEFAULT 0,   -- times in a row that the spec was parked
    last_error       text NOT NULL DEFAULT '',
    error_code       text,
    next_try_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    slice_started_at timestamptz,
    last_progress_at timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    completed_at     timestamptz,
    CHECK ((status = 'running') = (lease_expires_at IS NOT NULL)),
    CHECK (status <> 'running' OR lease_token IS NOT NULL),
    CHECK ((status IN ('succeeded', 'failed', 'cancelled')) = (completed_at IS NOT NULL))
);
CREATE UNIQUE INDEX jobs_one_open_per_spec ON jobs (spec_id) WHERE status IN ('pending', 'running');
CREATE INDEX jobs_ready ON jobs (ready_at, id) WHERE status = 'pending';
CREATE INDEX jobs_leases ON jobs (lease_expires_at) WHERE status = 'running';
CREATE INDEX jobs_parked ON jobs (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX jobs_by_spec ON jobs (spec_id, id DESC);
CREATE INDEX jobs_by_catalog ON jobs (catalog_id, id DESC);

CREATE TABLE job_events (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL REFERENCES jobs ON DELETE CASCADE,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    event  text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX job_events_by_job ON job_events (job_id, id);
