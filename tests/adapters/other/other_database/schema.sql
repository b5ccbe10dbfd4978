-- What followers keep, as `twofold/followers/followers.sql` expects it. A time is in seconds since 1970.

CREATE TABLE IF NOT EXISTS twofold_segments (
    follower TEXT, low INTEGER, high INTEGER, position INTEGER, fence INTEGER DEFAULT 0, owner TEXT DEFAULT '',
    lease_until REAL DEFAULT 0, merge_at INTEGER DEFAULT 0, PRIMARY KEY (follower, low)
);
CREATE TABLE IF NOT EXISTS twofold_present (
    follower TEXT, owner TEXT, present_until REAL, PRIMARY KEY (follower, owner)
);
CREATE TABLE IF NOT EXISTS twofold_parked (
    follower TEXT, lane TEXT, position INTEGER, error TEXT, attempts INTEGER, parked_at INTEGER, retry INTEGER DEFAULT 0,
    retry_at INTEGER DEFAULT 0,
    PRIMARY KEY (follower, lane, position)
);
CREATE TABLE IF NOT EXISTS twofold_caught_up (follower TEXT PRIMARY KEY);
