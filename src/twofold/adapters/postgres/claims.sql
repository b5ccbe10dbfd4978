-- Statements about who follows what. `{schema}` is filled in with its quoted name.

-- name: add_followers
INSERT INTO {schema}.twofold_segments (follower, low, high, position)
SELECT name, 0, $2, 0 FROM unnest($1::text[]) AS name
WHERE NOT EXISTS (SELECT 1 FROM {schema}.twofold_segments WHERE follower = name)
ON CONFLICT DO NOTHING

-- name: begun
SELECT DISTINCT follower FROM {schema}.twofold_segments WHERE follower = ANY ($1)

-- name: forget_present
DELETE FROM {schema}.twofold_present
WHERE (owner = $1 AND follower <> ALL ($2)) OR present_until <= clock_timestamp()
    OR ($3::float8 > 0 AND present_until > clock_timestamp() + make_interval(secs => 2 * $3))

-- name: end_lease
UPDATE {schema}.twofold_segments SET lease_until = '-infinity', owner = '' WHERE (follower, low) IN (
    SELECT follower, low FROM {schema}.twofold_segments
    WHERE $1::float8 > 0 AND lease_until > clock_timestamp() + make_interval(secs => 2 * $1) FOR UPDATE SKIP LOCKED
)

-- name: add_present
INSERT INTO {schema}.twofold_present (follower, owner, present_until)
SELECT follower, $1, clock_timestamp() + make_interval(secs => $3) FROM unnest($2::text[]) AS follower
ON CONFLICT (follower, owner) DO UPDATE SET present_until = excluded.present_until

-- name: leave_present
DELETE FROM {schema}.twofold_present WHERE owner = $1

-- name: present
SELECT follower, owner FROM {schema}.twofold_present

-- What is one's own or free, and not locked: where a batch is being stored, that shows that somebody follows.
-- name: lock_idle
SELECT follower, low FROM {schema}.twofold_segments
WHERE owner = $1 OR lease_until <= clock_timestamp() ORDER BY follower, low FOR UPDATE SKIP LOCKED

-- name: seats
SELECT follower, low, high, CASE WHEN lease_until > clock_timestamp() OR owner = $1 THEN owner ELSE '' END,
    merge_at > 0 AND position >= merge_at
FROM {schema}.twofold_segments ORDER BY follower, low

-- name: take
UPDATE {schema}.twofold_segments SET owner = $1, fence = fence + 1 WHERE follower = $2 AND low = $3

-- name: leave
UPDATE {schema}.twofold_segments SET lease_until = '-infinity', owner = '' WHERE follower = $1 AND low = $2

-- name: leave_all
UPDATE {schema}.twofold_segments SET lease_until = '-infinity', owner = '' WHERE owner = $1

-- name: renew
UPDATE {schema}.twofold_segments SET lease_until = clock_timestamp() + make_interval(secs => $4)
WHERE owner = $1 AND (follower, low) IN (SELECT * FROM unnest($2::text[], $3::bigint[]))

-- name: claims
SELECT follower, low, high, position, fence, merge_at FROM {schema}.twofold_segments WHERE owner = $1

-- name: segments
SELECT low, high, position, fence, merge_at FROM {schema}.twofold_segments WHERE follower = $1
ORDER BY low FOR UPDATE

-- name: drop_segments
DELETE FROM {schema}.twofold_segments WHERE follower = $1

-- name: add_segment
INSERT INTO {schema}.twofold_segments (follower, low, high, position, fence, merge_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: nameless
SELECT count(*) FROM {schema}.twofold_parked WHERE follower = $1 AND (lane = '' OR lane LIKE '[%')

-- name: merged
SELECT follower FROM {schema}.twofold_segments
GROUP BY follower HAVING min(merge_at) > 0 AND min(position) >= max(merge_at)

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))
