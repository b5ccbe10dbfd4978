"""The library `eventsourcing` with its PostgreSQL recorders, over psycopg 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from psycopg.sql import SQL

from bench.contenders.eventsourcing_peer import NAME, Balances, Recorders
from bench.model import Contender, Home, Place

_REMARKS = (
    "Each save is on disk when it returns, and so is each event's effect on the view; callers are threads, which share a "
    "pool of connections. Its cache of aggregates is on, but for loading, and so are its database functions, with which a "
    "save is one call; pools of other sizes were no faster. Its projection runner does the same as the loop here, and "
    "waiting for it is polling, from a tenth of a second on."
)
_TABLE = "CREATE TABLE IF NOT EXISTS balance (account uuid PRIMARY KEY, amount bigint NOT NULL)"
_ADD = SQL(
    "INSERT INTO balance VALUES (%s, %s) ON CONFLICT (account) DO UPDATE SET amount = balance.amount + excluded.amount"
)
_BALANCE = SQL("SELECT amount FROM balance WHERE account = %s")


class PostgresBalances(PostgresTrackingRecorder, Balances):
    """The view as a table in PostgreSQL."""

    datastore: PostgresDatastore

    def __init__(self, datastore: PostgresDatastore, **options: Any) -> None:
        super().__init__(datastore, **options)
        self.sql_create_statements.append(SQL(_TABLE).format())

    def add(self, account: UUID, amount: int, tracking: Tracking) -> None:
        """Add to a balance and take note of the event, in one transaction."""
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(_ADD, (account, amount), prepare=True)
            self._insert_tracking(cursor, tracking)

    def balance(self, account: UUID) -> int:
        """Return a balance."""
        with self.datastore.get_connection() as connection, connection.cursor() as cursor:
            row = cursor.execute(_BALANCE, (account,), prepare=True).fetchone()
            assert row is not None
            amount: int = row["amount"]
            return amount


def contenders(home: Home) -> tuple[Contender, ...]:
    """Return the library as a contender."""
    recorders = Recorders(_settings, PostgresBalances)
    return (Contender(NAME, home.durability, _REMARKS, recorders.trials()),)


def _settings(place: Place) -> Mapping[str, str]:
    url = urlsplit(place.log)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_HOST": url.hostname or "",
        "POSTGRES_PORT": str(url.port or 5432),
        "POSTGRES_DBNAME": url.path.lstrip("/"),
        "POSTGRES_USER": url.username or "postgres",
        "POSTGRES_PASSWORD": url.password or "",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        "POSTGRES_POOL_SIZE": "5",
        "POSTGRES_MAX_OVERFLOW": "10",
    }
