"""SQLite files: one for a service's log, one for its views."""

from twofold.adapters.sqlite.log import SqliteStore

__all__ = ["SqliteStore"]
