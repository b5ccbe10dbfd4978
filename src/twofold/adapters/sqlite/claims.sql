-- Statements about who follows what.

-- name: add_follower
INSERT OR IGNORE INTO twofold_segments (follower, low, high, position)
SELECT ?, 0, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM twofold_segments WHERE follower = ?)

-- name: forget_present
DELETE FROM twofold_present WHERE owner = ? OR present_until <= ? OR present_until > ?

-- name: end_lease
UPDATE twofold_segments SET lease_until = 0, owner = '' WHERE lease_until > ?

-- name: add_present
INSERT INTO twofold_present (follower, owner, present_until) VALUES (?, ?, ?)

-- name: present
SELECT follower, owner FROM twofold_present

-- name: seats
SELECT follower, low, high, CASE WHEN lease_until > ? OR owner = ? THEN owner ELSE '' END, merge_at > 0 AND position >= merge_at
FROM twofold_segments ORDER BY follower, low

-- name: take
UPDATE twofold_segments SET owner = ?, fence = fence + 1 WHERE follower = ? AND low = ?

-- name: leave
UPDATE twofold_segments SET lease_until = 0, owner = '' WHERE follower = ? AND low = ?

-- name: leave_all
UPDATE twofold_segments SET lease_until = 0, owner = '' WHERE owner = ?

-- name: renew
UPDATE twofold_segments SET lease_until = ? WHERE owner = ?

-- name: claims
SELECT follower, low, high, position, fence, merge_at FROM twofold_segments WHERE owner = ?

-- name: segments
SELECT low, high, position, fence, merge_at FROM twofold_segments WHERE follower = ? ORDER BY low

-- name: drop_segments
DELETE FROM twofold_segments WHERE follower = ?

-- name: add_segment
INSERT INTO twofold_segments (follower, low, high, position, fence, merge_at) VALUES (?, ?, ?, ?, ?, ?)

-- name: nameless
SELECT count(*) FROM twofold_parked WHERE follower = ? AND (lane = '' OR lane LIKE '[%')

-- name: merged
SELECT follower FROM twofold_segments GROUP BY follower HAVING min(merge_at) > 0 AND min(position) >= max(merge_at)

-- Of a process from before presences were noted, it is only known what it follows.
-- name: declared
SELECT follower, owner FROM twofold_segments WHERE lease_until > ?
UNION SELECT follower, owner FROM twofold_present WHERE present_until > ?
