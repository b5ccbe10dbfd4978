-- What followers keep, for every database. `$1` is the first value. `{schema}` is where the tables are; `{lock_rows}` locks the
-- rows that are read, and `{skip_locked}` does so with those that nobody has locked: both are empty where a transaction locks all.
-- `{table}` is a table's name, from a declaration.
--
-- The tables, which each adapter makes by numbered files of its own, with the types that its database has:
--   twofold_segments (follower, low, high, position, fence, owner, lease_until, merge_at), by follower and low
--   twofold_present (follower, owner, present_until), by follower and owner
--   twofold_parked (follower, lane, position, error, attempts, parked_at, retry, retry_at), by follower, lane and position
--   twofold_caught_up (follower)
-- Texts are compared by code points. What is not given is 0, '' or false. The column `lane` has keys: it was
-- called so when the first databases were made, and processes with older code read it by that name.

-- Checkpoints.

-- name: advance
UPDATE {schema}.twofold_segments SET position = $1 WHERE follower = $2 AND low = $3 AND fence = $4

-- name: position
SELECT coalesce(min(position), 0) FROM {schema}.twofold_segments WHERE follower = $1

-- name: progress
SELECT follower, low, high, position, CASE WHEN lease_until > $1 THEN owner ELSE '' END, (
    SELECT count(*) FROM {schema}.twofold_parked AS parked WHERE parked.follower = segment.follower
), fence
FROM {schema}.twofold_segments AS segment ORDER BY follower, low

-- name: standings
SELECT segment.follower, segment.low, segment.position, segment.fence, coalesce(parked.events, 0)
FROM {schema}.twofold_segments AS segment LEFT JOIN (
    SELECT follower, count(*) AS events FROM {schema}.twofold_parked GROUP BY follower
) AS parked ON parked.follower = segment.follower

-- name: caught_up
SELECT follower FROM {schema}.twofold_caught_up

-- name: mark_caught_up
INSERT INTO {schema}.twofold_caught_up (follower) VALUES ($1) ON CONFLICT DO NOTHING

-- name: forget_caught_up
DELETE FROM {schema}.twofold_caught_up WHERE follower = $1

-- Parked events.

-- name: park
INSERT INTO {schema}.twofold_parked AS kept (follower, lane, position, error, attempts, parked_at, retry_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (follower, lane, position) DO UPDATE
SET error = excluded.error, attempts = kept.attempts + excluded.attempts, retry = false, retry_at = excluded.retry_at
WHERE excluded.error <> ''

-- name: unpark
DELETE FROM {schema}.twofold_parked WHERE follower = $1 AND lane = $2 AND position = $3

-- name: parked
SELECT follower, lane, position, error, attempts, parked_at, retry_at FROM {schema}.twofold_parked
WHERE $1 IN ('', follower) AND $2 IN ('', lane) ORDER BY follower, lane, position LIMIT $3

-- name: parked_keys
SELECT lane, count(*) FROM {schema}.twofold_parked WHERE follower = $1 GROUP BY lane

-- name: oldest_parked
SELECT follower, count(DISTINCT lane), min(parked_at) FROM {schema}.twofold_parked GROUP BY follower ORDER BY follower

-- name: request_retry
UPDATE {schema}.twofold_parked SET retry = true, retry_at = 1 WHERE follower = $1 AND lane = $2

-- Keys for which that was asked or is due, and those whose first event has not failed: the one that had was discarded.
-- name: retries
SELECT first.lane FROM (
    SELECT lane, min(position) AS position FROM {schema}.twofold_parked WHERE follower = $1 GROUP BY lane
) AS first JOIN {schema}.twofold_parked AS parked
ON parked.follower = $1 AND parked.lane = first.lane AND parked.position = first.position
WHERE parked.retry OR parked.error = '' OR (parked.retry_at > 0 AND parked.retry_at <= $2) ORDER BY first.lane

-- name: discard
DELETE FROM {schema}.twofold_parked WHERE follower = $1 AND lane = $2 AND CAST($3 AS bigint) IN (0, position)

-- name: drop_parked
DELETE FROM {schema}.twofold_parked WHERE follower = $1

-- name: nameless
SELECT count(*) FROM {schema}.twofold_parked WHERE follower = $1 AND (lane = '' OR lane LIKE '[%')

-- Who is there.

-- name: add_present
INSERT INTO {schema}.twofold_present (follower, owner, present_until) VALUES ($1, $2, $3)
ON CONFLICT (follower, owner) DO UPDATE SET present_until = excluded.present_until

-- name: forget_present
DELETE FROM {schema}.twofold_present
WHERE (owner = $1 AND present_until <> $2) OR present_until <= $3 OR present_until > $4

-- name: leave_present
DELETE FROM {schema}.twofold_present WHERE owner = $1

-- name: present
SELECT follower, owner FROM {schema}.twofold_present

-- name: owners
SELECT owner FROM {schema}.twofold_segments UNION SELECT owner FROM {schema}.twofold_present

-- Of a process from before presences were noted, it is only known what it follows.
-- name: declared
SELECT follower, owner FROM {schema}.twofold_segments WHERE lease_until > $1
UNION SELECT follower, owner FROM {schema}.twofold_present WHERE present_until > $1

-- Segments, and who has them.

-- name: followers
SELECT DISTINCT follower FROM {schema}.twofold_segments

-- name: add_follower
INSERT INTO {schema}.twofold_segments (follower, low, high, position, fence)
SELECT $1, 0, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM {schema}.twofold_segments WHERE follower = $1)
ON CONFLICT DO NOTHING

-- name: end_leases
UPDATE {schema}.twofold_segments SET lease_until = $1, owner = '' WHERE (follower, low) IN (
    SELECT follower, low FROM {schema}.twofold_segments WHERE lease_until > $2 {skip_locked}
)

-- What is one's own or free, and not locked: where a batch is being stored, that shows that somebody follows.
-- name: idle
SELECT follower, low FROM {schema}.twofold_segments
WHERE owner = $1 OR lease_until <= $2 ORDER BY follower, low {skip_locked}

-- name: segments_of_all
SELECT follower, low, high, CASE WHEN lease_until > $2 OR owner = $1 THEN owner ELSE '' END,
    merge_at > 0 AND position >= merge_at
FROM {schema}.twofold_segments ORDER BY follower, low

-- name: take
UPDATE {schema}.twofold_segments SET owner = $1, fence = fence + 1 WHERE follower = $2 AND low = $3

-- name: leave
UPDATE {schema}.twofold_segments SET lease_until = $1, owner = '' WHERE follower = $2 AND low = $3

-- name: leave_all
UPDATE {schema}.twofold_segments SET lease_until = $1, owner = '' WHERE owner = $2

-- name: release
UPDATE {schema}.twofold_segments SET lease_until = $1, owner = '' WHERE follower = $2 AND low = $3 AND fence = $4

-- name: renew
UPDATE {schema}.twofold_segments SET lease_until = $1 WHERE owner = $2 AND follower = $3 AND low = $4

-- name: claims
SELECT follower, low, high, position, fence, merge_at FROM {schema}.twofold_segments WHERE owner = $1

-- name: segments
SELECT low, high, position, fence, merge_at FROM {schema}.twofold_segments WHERE follower = $1 ORDER BY low {lock_rows}

-- name: add_segment
INSERT INTO {schema}.twofold_segments (follower, low, high, position, fence, merge_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: drop_segments
DELETE FROM {schema}.twofold_segments WHERE follower = $1

-- name: merged
SELECT follower FROM {schema}.twofold_segments
GROUP BY follower HAVING min(merge_at) > 0 AND min(position) >= max(merge_at)

-- name: rewind
UPDATE {schema}.twofold_segments SET position = 0, merge_at = 0, fence = fence + 1, lease_until = $1, owner = ''
WHERE follower = $2

-- Rebuilding.

-- name: lock_segments
SELECT follower FROM {schema}.twofold_segments WHERE follower IN ($1, $2) ORDER BY follower, low {lock_rows}

-- name: highest_fence
SELECT max(fence) FROM {schema}.twofold_segments WHERE follower IN ($1, $2)

-- name: begin_shadow
INSERT INTO {schema}.twofold_segments (follower, low, high, position, fence)
SELECT $1, low, high, 0, $2 FROM {schema}.twofold_segments WHERE follower = $3

-- name: is_behind
SELECT 1 FROM {schema}.twofold_segments AS shadow JOIN {schema}.twofold_segments AS live
ON live.low < shadow.high AND shadow.low < live.high AND shadow.position < live.position
WHERE shadow.follower = $1 AND live.follower = $2 LIMIT 1

-- name: hold
UPDATE {schema}.twofold_segments SET owner = $1, lease_until = $2, fence = fence + 1 WHERE follower = $3

-- name: hand_over_segments
UPDATE {schema}.twofold_segments SET follower = $1, fence = $2, owner = '', lease_until = $3 WHERE follower = $4

-- name: hand_over_parked
UPDATE {schema}.twofold_parked SET follower = $1 WHERE follower = $2

-- name: drop_table
DROP TABLE IF EXISTS {schema}."{table}"

-- name: empty_table
DELETE FROM {schema}."{table}"
