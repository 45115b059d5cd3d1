-- The webhooks of each revision, as they are shown: [{name, method, operation_id, summary, deprecated}].

ALTER TABLE revisions ADD COLUMN webhooks jsonb NOT NULL DEFAULT '[]';
