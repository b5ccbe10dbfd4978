-- The schema of a log, version 1. Later versions are files of their own; this one never changes again.

CREATE TABLE events (
    position    INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    type        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    tags        BLOB NOT NULL,
    data        BLOB NOT NULL,
    metadata    BLOB NOT NULL,
    recorded_at INTEGER NOT NULL
);

CREATE INDEX events_by_type ON events (type, position);

-- A tag's events lie side by side; the type is there so that a condition is checked without leaving this tree.
CREATE TABLE tags (
    tag      TEXT NOT NULL,
    position INTEGER NOT NULL,
    type     TEXT NOT NULL,
    PRIMARY KEY (tag, position)
) WITHOUT ROWID;

-- The ids of appends that must not happen twice, with what became of the first.
CREATE TABLE handled (
    id    TEXT PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE snapshots (
    fold     TEXT NOT NULL,
    key      TEXT NOT NULL,
    position INTEGER NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (fold, key)
) WITHOUT ROWID;
