-- Statements about the schema's version. `{schema}` is filled in with its quoted name.

-- name: exists
SELECT to_regclass($1) IS NOT NULL

-- name: version
SELECT version FROM {schema}.twofold_versions WHERE part = $1

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- The first statement reads a table so that the session hears what others have made while it waited for the lock: by what it
-- remembers, there is no such schema, and making it once more would be an error.
-- name: prepare
SELECT FROM pg_namespace LIMIT 0;
CREATE SCHEMA IF NOT EXISTS {schema};
SET LOCAL search_path TO {schema};
CREATE TABLE IF NOT EXISTS {schema}.twofold_versions (part text PRIMARY KEY, version integer NOT NULL)

-- Whoever waits to change a table has all others wait who use it. So it is waited for shortly, and then again.
-- name: be_brief
SET LOCAL lock_timeout = '1s'

-- name: set_version
INSERT INTO {schema}.twofold_versions (part, version) VALUES ($1, $2)
ON CONFLICT (part) DO UPDATE SET version = excluded.version
