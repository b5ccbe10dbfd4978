"""PostgreSQL 14 and later: a service's log, shared by as many processes as wanted."""

from twofold.adapters.postgres.log import PostgresStore

__all__ = ["PostgresStore"]
