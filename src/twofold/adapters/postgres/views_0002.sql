-- Version 2: which processes are there for which followers, and where segments are merged.

CREATE TABLE twofold_present (
    follower      text COLLATE "C" NOT NULL,
    owner         text COLLATE "C" NOT NULL,
    present_until timestamptz NOT NULL,
    PRIMARY KEY (follower, owner)
);

ALTER TABLE twofold_segments ADD COLUMN merge_at bigint NOT NULL DEFAULT 0;
