-- What PostgreSQL says in its own way. `{…}` is filled in with names from declarations, never with values.

-- name: now
SELECT clock_timestamp()

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: be_quick
SET LOCAL lock_timeout = '100ms'

-- name: columns
SELECT concat(column_name, ' ', data_type, ' COLLATE ' || quote_ident(collation_name), CASE is_nullable WHEN 'NO' THEN ' NOT NULL' END,
    CASE WHEN EXISTS (
        SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(format('%I.%I', table_schema, table_name))
        AND contype = 'p' AND ordinal_position = ANY (conkey)
    ) THEN ' KEY' END)
FROM information_schema.columns
WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position

-- name: index
SELECT to_regclass($1) IS NOT NULL

-- What others were given the right to do with the table, they may do with the one that takes its place.
-- name: rights
SELECT format('GRANT %s ON %I.%I TO %s%s', privilege_type, $2::text, $3::text,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass($1) AND grantee <> relowner

-- name: key_index
SELECT conname FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype = 'p'

-- name: rename
ALTER {what} {old} RENAME TO {new}
