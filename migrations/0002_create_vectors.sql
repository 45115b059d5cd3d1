-- Vectors, once per model and operation text, whichever specs, revisions and catalogs use them.

CREATE EXTENSION IF NOT EXISTS vector;

-- dimension is unknown until the model's first vector is written, and never changes after.
CREATE TABLE models (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider   text NOT NULL,
    model      text NOT NULL,
    dimension  integer CHECK (dimension > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (provider, model)
);

CREATE TABLE vectors (
    model_id  integer NOT NULL REFERENCES models,
    text_hash bytea NOT NULL CHECK (octet_length(text_hash) = 32),
    embedding vector NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_id, text_hash)
);

ALTER TABLE specs ADD FOREIGN KEY (published_model_id) REFERENCES models;

-- One cool-down per provider, shared by all workers: none calls it before ``until``.
CREATE TABLE cool_downs (
    provider text PRIMARY KEY,
    until    timestamptz NOT NULL,
    strikes  integer NOT NULL DEFAULT 1,   -- in a row; the wait grows with them
    reason   text NOT NULL
);
