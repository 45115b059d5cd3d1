-- Catalogs, their specs, each spec's stored revisions and the operations of each revision.

CREATE TABLE catalogs (
    id           text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,100}$'),
    name         text NOT NULL,
    version      text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    description  text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, version)
);

-- id is a spec's identity: one deleted and created again under its name is another spec, and inherits no job.
CREATE TABLE specs (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    catalog_id         text NOT NULL REFERENCES catalogs ON DELETE CASCADE,
    spec_name          text NOT NULL CHECK (spec_name ~ '^[a-z0-9_-]{1,64}$'),
    source_kind        text NOT NULL CHECK (source_kind IN ('inline', 'upload', 'url')),
    source_url         text,
    current_revision   integer NOT NULL,
    published_revision integer,
    published_model_id integer,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    last_fetched_at    timestamptz,
    UNIQUE (catalog_id, spec_name),
    CHECK ((published_revision IS NULL) = (published_model_id IS NULL))
);

CREATE TABLE revisions (
    spec_id         bigint NOT NULL REFERENCES specs ON DELETE CASCADE,
    revision        integer NOT NULL,
    content_sha256  text NOT NULL,
    content         bytea NOT NULL,        -- gzip'd
    bytes           bigint NOT NULL,       -- before gzip
    base_path       text NOT NULL DEFAULT '',
    title           text NOT NULL DEFAULT '',
    openapi_version text NOT NULL,
    operation_count integer NOT NULL,
    warnings        jsonb NOT NULL DEFAULT '[]',
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (spec_id, revision)
);
-- gzip'd already: a second compression would only cost time.
ALTER TABLE revisions ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE operations (
    spec_id      bigint NOT NULL,
    revision     integer NOT NULL,
    position     integer NOT NULL,
    operation_id text NOT NULL,
    method       text NOT NULL,
    path         text NOT NULL,
    summary      text NOT NULL DEFAULT '',
    description  text NOT NULL DEFAULT '',
    tags         text[] NOT NULL DEFAULT '{}',
    deprecated   boolean NOT NULL DEFAULT false,
    text         text NOT NULL,
    text_hash    bytea NOT NULL CHECK (octet_length(text_hash) = 32),
    name_words   text NOT NULL,            -- of path, operationId and tags, for full-text search
    lexemes      tsvector NOT NULL GENERATED ALWAYS AS (
                     setweight(to_tsvector('english', name_words), 'A')
                     || setweight(to_tsvector('english', summary), 'A')
                     || setweight(to_tsvector('english', description), 'C')) STORED,
    PRIMARY KEY (spec_id, revision, position),
    FOREIGN KEY (spec_id, revision) REFERENCES revisions ON DELETE CASCADE
);
CREATE INDEX operations_lexemes ON operations USING gin (lexemes);
