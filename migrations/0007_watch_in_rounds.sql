-- How often the wake-up that watches over a job was sent on: of the copies that a queue makes of it, one goes on. -1 where
-- the newest claim's was not sent yet: then any message that comes takes its place.

ALTER TABLE jobs ADD COLUMN watch_round integer NOT NULL DEFAULT 0;
