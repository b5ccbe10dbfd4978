"""PostgreSQL 14 and later: a service's log, shared by as many processes as wanted."""

from twofold.adapters.postgres.log import PostgresStore
from twofold.adapters.postgres.within import append_within

__all__ = ["PostgresStore", "append_within"]
