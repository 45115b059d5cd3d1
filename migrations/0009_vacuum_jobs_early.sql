-- Each claim walks past the entries of jobs that have just left the index of ready ones, until they are vacuumed away; a
-- fifth of a million finished jobs would be far too many to wait for.

ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);
