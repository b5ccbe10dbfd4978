-- Statements of the views' database. `{…}` is filled in by views.py with quoted names from declarations, never with values.

-- Each argument is one column of all rows.
-- name: put
INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT (key) DO {action}

-- name: delete
DELETE FROM {table} WHERE key = ANY ($1)

-- name: load
SELECT {columns} FROM {table} WHERE key = ANY ($1)
