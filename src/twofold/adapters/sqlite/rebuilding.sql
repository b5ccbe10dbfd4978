-- Statements that put one table in another's place. `{…}` is filled in by rebuilding.py with names from declarations, never with values.

-- name: is_begun
SELECT EXISTS (SELECT 1 FROM twofold_segments WHERE follower = ?)

-- name: has_index
SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'index' AND name IN ({names}))

-- name: ensure_follower
INSERT INTO twofold_segments (follower, low, high, position)
SELECT ?, 0, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM twofold_segments WHERE follower = ?)

-- name: begin
INSERT INTO twofold_segments (follower, low, high, position, fence)
SELECT ?, low, high, 0, ? FROM twofold_segments WHERE follower = ?

-- name: is_behind
SELECT EXISTS (
    SELECT 1 FROM twofold_segments AS shadow JOIN twofold_segments AS live
    ON live.low < shadow.high AND shadow.low < live.high AND shadow.position < live.position
    WHERE shadow.follower = ? AND live.follower = ?
)

-- name: hold
UPDATE twofold_segments SET owner = ?, lease_until = ?, fence = fence + 1 WHERE follower = ?

-- name: highest_fence
SELECT max(fence) FROM twofold_segments WHERE follower IN (?, ?)

-- name: drop_table
DROP TABLE IF EXISTS {table}

-- name: rename_this_table_only
PRAGMA legacy_alter_table = ON

-- name: rename
ALTER TABLE {shadow} RENAME TO {table}

-- name: drop_segments
DELETE FROM twofold_segments WHERE follower = ?

-- name: drop_parked
DELETE FROM twofold_parked WHERE follower = ?

-- name: hand_over_segments
UPDATE twofold_segments SET follower = ?, fence = ?, owner = '', lease_until = 0 WHERE follower = ?

-- name: hand_over_parked
UPDATE twofold_parked SET follower = ? WHERE follower = ?

-- name: forget_caught_up
DELETE FROM twofold_caught_up WHERE follower = ?

-- name: caught_up
SELECT follower FROM twofold_caught_up

-- name: mark_caught_up
INSERT OR IGNORE INTO twofold_caught_up (follower) VALUES (?)
