-- Statements of the views' database. `{…}` is filled in by views.py with quoted names from declarations, never with values.

-- Each argument is one column of all rows.
-- name: put
INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT ({key}) DO {action}

-- name: delete
DELETE FROM {table} WHERE key = ANY ($1)

-- name: delete_parts
DELETE FROM {table} WHERE {condition}

-- name: load
SELECT {columns} FROM {table} WHERE key = ANY ($1)

-- Key by key, so by the index: a join may be planned while a table that is being filled is small, and read all of it later.
-- name: load_parts
SELECT found.* FROM unnest({arrays}) AS wanted ({parts})
CROSS JOIN LATERAL (SELECT {columns} FROM {table} WHERE {condition} LIMIT 1) AS found
