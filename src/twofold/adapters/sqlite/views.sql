-- Statements of the views' database. `{…}` is filled in by views.py with placeholders and names from declarations, never with values.

-- name: put
INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT ({key}) DO UPDATE SET {updates}

-- name: put_key
INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT ({key}) DO NOTHING

-- name: begin_preview
SAVEPOINT preview

-- name: take_back
ROLLBACK TO preview

-- name: delete
DELETE FROM {table} WHERE {condition}

-- name: load
SELECT {columns} FROM {table} WHERE {condition}
