-- Who changed what over the API; and what is known of a key's use.

CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    who        jsonb NOT NULL,
    what       text NOT NULL,
    path       text NOT NULL,
    subject    text NOT NULL,
    request_id text NOT NULL,
    before     jsonb,
    after      jsonb
);

ALTER TABLE keys ADD COLUMN last_used_at timestamptz;

-- A key is looked for by the first eight bytes of its hash.
CREATE INDEX keys_by_hash ON keys (substr(key_sha256, 1, 8));
