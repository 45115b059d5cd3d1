-- The way in which a revision's texts were made. Where a newer release makes them otherwise, the sweep reads the document
-- again. What is there counts as made in the second way, which the release before has: an upgrade to this release embeds
-- nothing again. The few that the first release made stay as they are until the next change, or an upload.

ALTER TABLE revisions ADD COLUMN text_scheme integer NOT NULL DEFAULT 2;
