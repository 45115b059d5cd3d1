-- A release that makes segments in another way makes its own beside those of the release that still runs.

ALTER TABLE segments DROP CONSTRAINT segments_pkey, ADD PRIMARY KEY (spec_id, revision, scheme);
