-- Statements of the log. `{…}` is filled in by log.py with quoted names of schemas and columns, never with values.

-- The columns of texts are one text each, with $33 before every value.
-- name: append
SELECT head, places, firsts, lasts, stored FROM {schema}.log_append_digests(
    $1, $2, $3, $4, $5,
    $6, (string_to_array($7, $33))[2:], (string_to_array($8, $33))[2:], $9, $10, $11, $12,
    $13, $14, (string_to_array($15, $33))[2:], (string_to_array($16, $33))[2:],
    $17, (string_to_array($18, $33))[2:], $19,
    $20, (string_to_array($21, $33))[2:], (string_to_array($22, $33))[2:], $23,
    $24, (string_to_array($25, $33))[2:], (string_to_array($26, $33))[2:], $27,
    $28, $29, $30, $31, $32
)

-- name: head
SELECT coalesce(max(position), 0) FROM {schema}.log_events

-- From one type to the next along the index, as often as there are types, however many events these have. Rows are compared so
-- that the server uses that index without having statistics.
-- name: types
WITH RECURSIVE found (type) AS (
    (SELECT type FROM {schema}.log_events ORDER BY type LIMIT 1)
    UNION ALL
    SELECT (SELECT e.type FROM {schema}.log_events AS e WHERE e.type > found.type ORDER BY e.type LIMIT 1)
    FROM found WHERE found.type IS NOT NULL
)
SELECT type, counted.events, ends.first, ends.last
FROM found, LATERAL (
    SELECT count(*) AS events FROM (
        SELECT FROM {schema}.log_events AS e
        WHERE (e.type, e.position) > (found.type, 0) AND (e.type, e.position) < (found.type, 1::bigint << 62)
        ORDER BY e.type, e.position LIMIT $1
    ) AS bounded
) AS counted, LATERAL (
    SELECT
        (SELECT e.position FROM {schema}.log_events AS e WHERE e.type = found.type ORDER BY e.type, e.position LIMIT 1) AS first,
        (SELECT e.position FROM {schema}.log_events AS e WHERE e.type = found.type
         ORDER BY e.type DESC, e.position DESC LIMIT 1) AS last
) AS ends
WHERE type IS NOT NULL ORDER BY type

-- `digest` is the column of that name, or the value of its default where a log that is only looked at has not got it yet.
-- The table keeps the name that it had first, as processes of before read it, too.
-- name: processed
SELECT id, first, last, {digest} FROM {schema}.log_handled WHERE id = $1

-- All ids are read along the index, page by page: of `coalesce` the server thinks that it selects much, statistics or not.
-- name: read_processed
SELECT id, first, last, {digest} FROM {schema}.log_handled
WHERE id > $1 AND coalesce(last BETWEEN $2 AND $3, true) ORDER BY id LIMIT $4

-- Late ones are few, and found faster by looking at all.
-- name: read_processed_lately
SELECT id, first, last, {digest} FROM {schema}.log_handled WHERE id > $1 AND last BETWEEN $2 AND $3 ORDER BY id LIMIT $4

-- Whoever restores keeps others from appending, and is as durable, as `log_append_digests`.
-- name: lock
LOCK TABLE {schema}.log_appending IN EXCLUSIVE MODE;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'

-- name: has_digests
SELECT EXISTS (
    SELECT FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'log_handled' AND column_name = 'digest'
)

-- name: ids_from
SELECT id FROM {schema}.log_events WHERE position >= $1 ORDER BY position LIMIT $2

-- name: remembered
SELECT id, first, last, {digest} FROM {schema}.log_handled WHERE id = ANY ($1)

-- name: read
SELECT position, id, type, version, tags, data, metadata, recorded_at FROM {schema}.log_read($1, $2, $3, $4, $5, $6)

-- name: history
SELECT position, type, version, data FROM {schema}.log_read($1, $2, $3, $4, $5, $6)

-- name: load_snapshot
SELECT position, data FROM {schema}.log_snapshots WHERE fold = $1 AND key = $2

-- name: save_snapshot
INSERT INTO {schema}.log_snapshots AS kept (fold, key, position, data) VALUES ($1, $2, $3, $4)
ON CONFLICT (fold, key) DO UPDATE SET position = excluded.position, data = excluded.data
WHERE excluded.position >= kept.position

-- A writer's last batch is of no use once the writer is gone, but nobody can tell that from a writer that is quiet.
-- name: forget_old_batches
DELETE FROM {schema}.log_batches WHERE written_at < now() - interval '1 day'
