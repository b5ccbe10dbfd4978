-- Statements of the log. `{schema}` is filled in by log.py with the quoted name of the schema, never with values.

-- The columns of texts are one text each, with $32 before every value.
-- name: append
SELECT head, places, firsts, lasts, stored FROM {schema}.log_append(
    $1, $2, $3, $4, $5,
    $6, (string_to_array($7, $32))[2:], (string_to_array($8, $32))[2:], $9, $10, $11, $12,
    $13, $14, (string_to_array($15, $32))[2:], (string_to_array($16, $32))[2:],
    $17, (string_to_array($18, $32))[2:],
    $19, (string_to_array($20, $32))[2:], (string_to_array($21, $32))[2:], $22,
    $23, (string_to_array($24, $32))[2:], (string_to_array($25, $32))[2:], $26,
    $27, $28, $29, $30, $31
)

-- name: head
SELECT coalesce(max(position), 0) FROM {schema}.log_events

-- name: handled
SELECT first, last FROM {schema}.log_handled WHERE id = $1

-- All ids are read along the index, page by page: of `coalesce` the server thinks that it selects much, statistics or not.
-- name: read_handled
SELECT id, first, last FROM {schema}.log_handled WHERE id > $1 AND coalesce(last BETWEEN $2 AND $3, true) ORDER BY id LIMIT $4

-- Late ones are few, and found faster by looking at all.
-- name: read_handled_lately
SELECT id, first, last FROM {schema}.log_handled WHERE id > $1 AND last BETWEEN $2 AND $3 ORDER BY id LIMIT $4

-- Whoever restores keeps others from appending, and is as durable, as `log_append`.
-- name: lock
LOCK TABLE {schema}.log_appending IN EXCLUSIVE MODE;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'

-- name: ids_from
SELECT id FROM {schema}.log_events WHERE position >= $1 ORDER BY position LIMIT $2

-- name: remembered
SELECT id, first, last FROM {schema}.log_handled WHERE id = ANY ($1)

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
