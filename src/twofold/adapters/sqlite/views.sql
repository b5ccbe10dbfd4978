-- Statements of the views' database. `{…}` is filled in by views.py with placeholders and names from declarations, never with values.

-- name: release
UPDATE twofold_segments SET lease_until = 0, owner = '' WHERE follower = ? AND low = ? AND fence = ?

-- name: advance
UPDATE twofold_segments SET position = ? WHERE follower = ? AND low = ? AND fence = ?

-- name: position
SELECT coalesce(min(position), 0) FROM twofold_segments WHERE follower = ?

-- name: progress
SELECT follower, low, high, position, CASE WHEN lease_until > ? THEN owner ELSE '' END,
    (SELECT count(*) FROM twofold_parked AS parked WHERE parked.follower = twofold_segments.follower), fence
FROM twofold_segments ORDER BY follower, low

-- name: standings
SELECT segment.follower, segment.low, segment.position, segment.fence, coalesce(parked.events, 0)
FROM twofold_segments AS segment LEFT JOIN (
    SELECT follower, count(*) AS events FROM twofold_parked GROUP BY follower
) AS parked ON parked.follower = segment.follower

-- name: park
INSERT INTO twofold_parked (follower, lane, position, error, attempts, parked_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (follower, lane, position) DO UPDATE
SET error = excluded.error, attempts = twofold_parked.attempts + excluded.attempts

-- name: unpark
DELETE FROM twofold_parked WHERE follower = ? AND lane = ? AND position = ?

-- name: parked
SELECT follower, lane, position, error, attempts, parked_at FROM twofold_parked
WHERE (? IN ('', follower)) AND (? IN ('', lane)) ORDER BY follower, lane, position LIMIT ?

-- name: request_retry
UPDATE twofold_parked SET retry = 1 WHERE follower = ? AND lane = ?

-- Beside min(), SQLite takes the other columns from the row that has it: `error` is that of a key's first event.
-- name: retries
SELECT lane FROM (
    SELECT lane, error, min(position), sum(retry) AS asked FROM twofold_parked WHERE follower = ? GROUP BY lane
) WHERE asked > 0 OR error = '' ORDER BY lane

-- name: forget_retry
UPDATE twofold_parked SET retry = 0 WHERE follower = ? AND lane = ?

-- name: discard
DELETE FROM twofold_parked WHERE follower = ? AND lane = ? AND (? IN (0, position))

-- name: rewind
UPDATE twofold_segments SET position = 0, merge_at = 0, fence = fence + 1, lease_until = 0, owner = ''
WHERE follower = ?

-- name: drop_parked
DELETE FROM twofold_parked WHERE follower = ?

-- name: empty
DELETE FROM {table}

-- name: put
INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT (key) DO UPDATE SET {updates}

-- name: put_key
INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT (key) DO NOTHING

-- name: begin_preview
SAVEPOINT preview

-- name: take_back
ROLLBACK TO preview

-- name: delete
DELETE FROM {table} WHERE key IN ({keys})

-- name: load
SELECT {columns} FROM {table} WHERE key IN ({keys})
