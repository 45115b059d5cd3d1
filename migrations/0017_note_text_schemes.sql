-- The way in which a revision's texts were made. Where a newer release makes them otherwise, the sweep reads the document
-- again. The release before writes none, and has the second way.

ALTER TABLE revisions ADD COLUMN text_scheme integer NOT NULL DEFAULT 2;

-- The first releases had another one, by which they made the hashes, too.
UPDATE revisions r SET text_scheme = 1
WHERE EXISTS (
    SELECT FROM operations o
    WHERE o.spec_id = r.spec_id AND o.revision = r.revision AND o.position = 0
      AND o.text_hash <> sha256(convert_to('2' || E'\n' || o.text, 'UTF8'))
);
