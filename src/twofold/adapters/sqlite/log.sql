-- Statements of the log. `{…}` is filled in by log.py with placeholders or with other statements of this file, never with values.

-- name: head
SELECT coalesce(max(position), 0) FROM events

-- From one type to the next along the index, as often as there are types, however many events these have.
-- name: types
WITH RECURSIVE found (type) AS (
    SELECT min(type) FROM events
    UNION ALL
    SELECT (SELECT min(type) FROM events WHERE type > found.type) FROM found WHERE found.type IS NOT NULL
)
SELECT
    type,
    (SELECT count(*) FROM (SELECT 1 FROM events WHERE type = found.type LIMIT ?)),
    (SELECT min(position) FROM events WHERE type = found.type),
    (SELECT max(position) FROM events WHERE type = found.type)
FROM found WHERE type IS NOT NULL ORDER BY type

-- The table keeps the name that it had first, as processes of before read it, too.
-- `digest` is the column of that name, or the value of its default where a file that is only looked at has not got it yet.
-- name: processed
SELECT id, first, last, {digest} FROM handled WHERE id IN ({ids})

-- name: read_processed
SELECT id, first, last, {digest} FROM handled WHERE id > ? AND last BETWEEN ? AND ? ORDER BY id LIMIT ?

-- name: has_digests
SELECT count(*) FROM pragma_table_info('handled') WHERE name = 'digest'

-- name: ids_from
SELECT id FROM events WHERE position >= ? ORDER BY position LIMIT ?

-- One row per condition of one tag that fails: `types` is '' for any, or has the unit separator, char(31), around each.
-- name: conflicts
WITH probe (place, tag, after, types) AS (VALUES {rows})
SELECT place, (
    SELECT tags.position FROM tags
    WHERE tags.tag = probe.tag AND tags.position > probe.after
      AND (probe.types = '' OR instr(probe.types, char(31) || tags.type || char(31)) > 0)
    LIMIT 1
) AS newer
FROM probe WHERE newer IS NOT NULL

-- OR ROLLBACK, as a failure takes back the whole transaction anyway: SQLite then need not be able to undo one statement alone.
-- name: insert_events
INSERT OR ROLLBACK INTO events (position, id, type, version, tags, data, metadata, recorded_at) VALUES {rows}

-- name: insert_tags
INSERT OR ROLLBACK INTO tags (tag, position, type) VALUES {rows}

-- name: insert_processed
INSERT OR ROLLBACK INTO handled (id, first, last, digest) VALUES {rows}

-- name: read_all
SELECT {columns} FROM events
WHERE position {beyond} ? ORDER BY position {order} LIMIT ?

-- name: read_selected
SELECT {columns} FROM events
WHERE position IN ({selected}) ORDER BY position {order} LIMIT ?

-- The following select positions: each stops at the limit by itself, so that none walks through the whole log.
-- name: select_type
SELECT * FROM (
    SELECT position FROM events WHERE type = ? AND position {beyond} ? ORDER BY position {order} LIMIT ?
)

-- name: select_tags
SELECT * FROM (
    SELECT t0.position FROM tags AS t0 {joins}
    WHERE t0.tag = ? AND t0.position {beyond} ? {types} {further} ORDER BY t0.position {order} LIMIT ?
)

-- As many tags as SQLite cannot join: an event has those of them that are different by number.
-- name: further_tags
AND {number} = (SELECT count(*) FROM tags AS x WHERE x.position = t0.position AND x.tag IN ({tags}))

-- name: load_snapshot
SELECT position, data FROM snapshots WHERE fold = ? AND key = ?

-- name: save_snapshot
INSERT INTO snapshots (fold, key, position, data) VALUES (?, ?, ?, ?)
ON CONFLICT (fold, key) DO UPDATE SET position = excluded.position, data = excluded.data
WHERE excluded.position >= snapshots.position
