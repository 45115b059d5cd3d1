-- How often the wake-up of the newest claim's lease was sent on: of the copies that a queue makes of it, one goes on.

ALTER TABLE jobs ADD COLUMN watch_round integer NOT NULL DEFAULT 0;
