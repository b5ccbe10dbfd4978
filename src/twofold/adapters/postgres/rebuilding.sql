-- Statements that put one table in another's place. `{…}` is filled in with quoted names from declarations, never with values.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: is_begun
SELECT EXISTS (SELECT 1 FROM {schema}.twofold_segments WHERE follower = $1)

-- name: ensure_follower
INSERT INTO {schema}.twofold_segments (follower, low, high, position)
SELECT $1, 0, $2, 0 WHERE NOT EXISTS (SELECT 1 FROM {schema}.twofold_segments WHERE follower = $1)
ON CONFLICT DO NOTHING

-- name: new_fence
SELECT greatest(max(fence) + 1, extract(epoch FROM clock_timestamp())::numeric * 1000000)::bigint
FROM {schema}.twofold_segments WHERE follower = $1

-- name: begin
INSERT INTO {schema}.twofold_segments (follower, low, high, position, fence)
SELECT $1, low, high, 0, $3 FROM {schema}.twofold_segments WHERE follower = $2

-- name: be_quick
SELECT set_config('lock_timeout', $1, true)

-- name: lock_segments
SELECT follower FROM {schema}.twofold_segments WHERE follower = ANY ($1) ORDER BY follower, low FOR UPDATE

-- name: is_behind
SELECT EXISTS (
    SELECT 1 FROM {schema}.twofold_segments AS shadow JOIN {schema}.twofold_segments AS live
    ON live.low < shadow.high AND shadow.low < live.high AND shadow.position < live.position
    WHERE shadow.follower = $1 AND live.follower = $2
)

-- name: hold
UPDATE {schema}.twofold_segments
SET owner = $1, lease_until = clock_timestamp() + make_interval(secs => $2), fence = fence + 1 WHERE follower = $3

-- name: highest_fence
SELECT max(fence) FROM {schema}.twofold_segments WHERE follower = ANY ($1)

-- What others were given the right to do with the table, they may do with the one that takes its place.
-- name: rights
SELECT format('GRANT %s ON %I.%I TO %s%s', privilege_type, $2::text, $3::text,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass($1) AND grantee <> relowner

-- name: drop_table
DROP TABLE IF EXISTS {table}

-- name: rename
ALTER TABLE {shadow} RENAME TO {name}

-- name: key_index
SELECT conname FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype = 'p'

-- name: rename_index
ALTER INDEX {index} RENAME TO {name}

-- name: drop_segments
DELETE FROM {schema}.twofold_segments WHERE follower = $1

-- name: drop_parked
DELETE FROM {schema}.twofold_parked WHERE follower = $1

-- name: hand_over_segments
UPDATE {schema}.twofold_segments SET follower = $1, fence = $2, owner = '', lease_until = '-infinity' WHERE follower = $3

-- name: hand_over_parked
UPDATE {schema}.twofold_parked SET follower = $1 WHERE follower = $2

-- Of a process from before presences were noted, it is only known what it follows.
-- name: declared
SELECT follower FROM {schema}.twofold_segments WHERE lease_until > clock_timestamp()
UNION SELECT follower FROM {schema}.twofold_present WHERE present_until > clock_timestamp()

-- name: forget_caught_up
DELETE FROM {schema}.twofold_caught_up WHERE follower = $1

-- name: caught_up
SELECT follower FROM {schema}.twofold_caught_up

-- name: mark_caught_up
INSERT INTO {schema}.twofold_caught_up (follower) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING
