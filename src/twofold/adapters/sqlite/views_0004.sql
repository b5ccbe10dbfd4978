-- Version 4: when an event that failed is to be tried again, in microseconds since 1970; 0 is not before somebody asks for it.

ALTER TABLE twofold_parked ADD COLUMN retry_at INTEGER NOT NULL DEFAULT 0;
