-- Specs that come from a URL: what its server said of the stored document, and when it is asked again.

ALTER TABLE specs
    ADD COLUMN given_base_path       text,              -- in place of what each new document says
    ADD COLUMN etag                  text,
    ADD COLUMN last_modified         text,
    ADD COLUMN refresh_hours         integer NOT NULL DEFAULT 0 CHECK (refresh_hours BETWEEN 0 AND 720),
    ADD COLUMN next_fetch_at         timestamptz,
    ADD COLUMN fetch_failures        integer NOT NULL DEFAULT 0,  -- in a row, one under way among them
    ADD COLUMN last_fetch_error      text,
    ADD COLUMN last_fetch_error_code text,
    ADD COLUMN last_fetch_failed_at  timestamptz;
CREATE INDEX specs_to_fetch ON specs (next_fetch_at) WHERE next_fetch_at IS NOT NULL;
