-- What search needs of a revision's operations, made once and read as it is: its words, its operations' methods and tags,
-- which of them need each other. Kept beside the stored operations, which clones share, and dropped with them.

CREATE TABLE segments (
    spec_id    bigint NOT NULL,
    revision   integer NOT NULL,
    scheme     integer NOT NULL,    -- how it was made: a release's own stand beside those of the one that still runs
    octets     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (spec_id, revision, scheme)
);
-- Mostly numbers that hardly compress, and read far more often than written.
ALTER TABLE segments ALTER COLUMN octets SET STORAGE EXTERNAL;
