-- What SQLite says in its own way about tables. `{…}` is filled in with names from declarations, never with values.

-- name: columns
SELECT name || ' ' || type || CASE "notnull" WHEN 1 THEN ' NOT NULL' ELSE '' END || CASE pk WHEN 0 THEN '' ELSE ' KEY' END
FROM pragma_table_info(?1) ORDER BY cid

-- name: index
SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?1

-- name: rename_this_table_only
PRAGMA legacy_alter_table = ON

-- name: rename
ALTER TABLE "{table}" RENAME TO "{name}"
