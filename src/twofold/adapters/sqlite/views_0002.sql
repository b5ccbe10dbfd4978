-- Version 2: which processes are there for which followers, and where segments are merged.

CREATE TABLE twofold_present (
    follower      TEXT NOT NULL,
    owner         TEXT NOT NULL,
    present_until REAL NOT NULL,
    PRIMARY KEY (follower, owner)
) WITHOUT ROWID;

ALTER TABLE twofold_segments ADD COLUMN merge_at INTEGER NOT NULL DEFAULT 0;
