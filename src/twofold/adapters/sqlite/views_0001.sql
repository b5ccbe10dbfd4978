-- What followers keep beside the views' rows, version 1. Later versions are files of their own; this one never changes again.

CREATE TABLE twofold_segments (
    follower    TEXT NOT NULL,
    low         INTEGER NOT NULL,
    high        INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    fence       INTEGER NOT NULL DEFAULT 0,
    owner       TEXT NOT NULL DEFAULT '',
    lease_until REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (follower, low)
) WITHOUT ROWID;

CREATE TABLE twofold_parked (
    follower  TEXT NOT NULL,
    lane      TEXT NOT NULL,
    position  INTEGER NOT NULL,
    error     TEXT NOT NULL,
    attempts  INTEGER NOT NULL,
    parked_at INTEGER NOT NULL,
    retry     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (follower, lane, position)
) WITHOUT ROWID;
