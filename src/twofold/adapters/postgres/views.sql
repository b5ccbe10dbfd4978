-- Statements of the views' database. `{…}` is filled in by views.py with quoted names from declarations, never with values.

-- name: release
UPDATE {schema}.twofold_segments SET lease_until = '-infinity', owner = ''
WHERE follower = $1 AND low = $2 AND fence = $3 RETURNING 1

-- name: advance
UPDATE {schema}.twofold_segments SET position = $4 WHERE follower = $1 AND low = $2 AND fence = $3 RETURNING 1

-- name: position
SELECT coalesce(min(position), 0) FROM {schema}.twofold_segments WHERE follower = $1

-- name: progress
SELECT follower, low, high, position, CASE WHEN lease_until > clock_timestamp() THEN owner ELSE '' END AS owner, (
    SELECT count(*) FROM {schema}.twofold_parked AS parked WHERE parked.follower = segment.follower
) AS parked, fence
FROM {schema}.twofold_segments AS segment ORDER BY follower, low

-- name: standings
SELECT segment.follower, segment.low, segment.position, segment.fence, coalesce(parked.events, 0)
FROM {schema}.twofold_segments AS segment LEFT JOIN (
    SELECT follower, count(*) AS events FROM {schema}.twofold_parked GROUP BY follower
) AS parked ON parked.follower = segment.follower

-- name: park
INSERT INTO {schema}.twofold_parked AS kept (follower, lane, position, error, attempts, parked_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (follower, lane, position) DO UPDATE
SET error = excluded.error, attempts = kept.attempts + excluded.attempts

-- name: unpark
DELETE FROM {schema}.twofold_parked WHERE follower = $1 AND lane = $2 AND position = $3

-- name: parked
SELECT follower, lane, position, error, attempts, parked_at FROM {schema}.twofold_parked
WHERE $1 IN ('', follower) AND $2 IN ('', lane) ORDER BY follower, lane, position LIMIT $3

-- name: request_retry
UPDATE {schema}.twofold_parked SET retry = true WHERE follower = $1 AND lane = ANY ($2) RETURNING 1

-- name: retries
SELECT lane FROM (
    SELECT DISTINCT ON (lane) lane, error, bool_or(retry) OVER (PARTITION BY lane) AS asked
    FROM {schema}.twofold_parked WHERE follower = $1 ORDER BY lane, position
) AS first WHERE asked OR error = '' ORDER BY lane

-- name: forget_retries
UPDATE {schema}.twofold_parked SET retry = false WHERE follower = $1 AND lane = ANY ($2)

-- name: discard
DELETE FROM {schema}.twofold_parked WHERE follower = $1 AND lane = $2 AND $3::bigint IN (0, position) RETURNING 1

-- name: rewind
UPDATE {schema}.twofold_segments SET position = 0, merge_at = 0, fence = fence + 1, lease_until = '-infinity', owner = ''
WHERE follower = $1

-- name: drop_parked
DELETE FROM {schema}.twofold_parked WHERE follower = $1

-- name: columns
SELECT concat(column_name, ' ', data_type, ' COLLATE ' || quote_ident(collation_name), CASE is_nullable WHEN 'NO' THEN ' NOT NULL' END)
FROM information_schema.columns
WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: empty
DELETE FROM {table}

-- Each argument is one column of all rows.
-- name: put
INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT (key) DO {action}

-- name: delete
DELETE FROM {table} WHERE key = ANY ($1)

-- name: load
SELECT {columns} FROM {table} WHERE key = ANY ($1)
