-- A clone shares the operations of what it was made from. They are stored once, with the revision that brought them, and
-- seen under every revision that has them; what no revision has any longer goes with the sweep.

ALTER TABLE operations RENAME TO stored_operations;
ALTER TABLE stored_operations DROP CONSTRAINT operations_spec_id_revision_fkey;

-- The revision whose stored operations a clone has; it may be gone. NULL where it has its own.
ALTER TABLE revisions
    ADD COLUMN original_spec_id bigint,
    ADD COLUMN original_revision integer,
    ADD CHECK ((original_spec_id IS NULL) = (original_revision IS NULL));
CREATE INDEX revisions_by_original
    ON revisions (coalesce(original_spec_id, spec_id), coalesce(original_revision, revision));

CREATE VIEW operations AS
SELECT r.spec_id, r.revision, o.position, o.operation_id, o.method, o.path, o.summary, o.description, o.tags, o.deprecated,
       o.text, o.text_hash, o.name_words, o.lexemes
FROM revisions r
JOIN stored_operations o
  ON o.spec_id = coalesce(r.original_spec_id, r.spec_id) AND o.revision = coalesce(r.original_revision, r.revision);

-- Search joins each spec with the revision that readers see: without these the planner takes the join for one row.
CREATE STATISTICS specs_seen ON (coalesce(published_revision, current_revision)) FROM specs;

-- The release before copies its operations into what is now a view.
CREATE FUNCTION store_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stored_operations (spec_id, revision, position, operation_id, method, path, summary, description, tags,
                                   deprecated, text, text_hash, name_words)
    VALUES (NEW.spec_id, NEW.revision, NEW.position, NEW.operation_id, NEW.method, NEW.path, coalesce(NEW.summary, ''),
            coalesce(NEW.description, ''), coalesce(NEW.tags, '{}'), coalesce(NEW.deprecated, false), NEW.text,
            NEW.text_hash, NEW.name_words);
    RETURN NEW;
END $$;
CREATE TRIGGER store_operation INSTEAD OF INSERT ON operations FOR EACH ROW EXECUTE FUNCTION store_operation();
