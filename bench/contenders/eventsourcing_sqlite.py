"""The library `eventsourcing` with its SQLite recorders, on files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from tempfile import TemporaryDirectory
from uuid import UUID

from eventsourcing.persistence import Tracking
from eventsourcing.sqlite import SQLiteDatastore, SQLiteTrackingRecorder

from bench.contenders.eventsourcing_peer import NAME, Balances, Recorders
from bench.model import Contender, Home, Place

_REMARKS = (
    "Each save is on disk when it returns, and so is each event's effect on the view; callers are threads. Its cache of "
    "aggregates is on, but for loading. Its projection runner needs subscriptions, which its SQLite recorders lack: the "
    "same loop is written out here."
)


class SQLiteBalances(SQLiteTrackingRecorder, Balances):
    """The view as a table in SQLite."""

    datastore: SQLiteDatastore

    def construct_create_table_statements(self) -> list[str]:
        """Return the statements for the tracking's table and the view's own."""
        own = "CREATE TABLE IF NOT EXISTS balance (account TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID"
        return [*super().construct_create_table_statements(), own]

    def add(self, account: UUID, amount: int, tracking: Tracking) -> None:
        """Add to a balance and take note of the event, in one transaction."""
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(
                "INSERT INTO balance VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET amount = amount + excluded.amount",
                (account.hex, amount),
            )
            self._insert_tracking(cursor, tracking)

    def balance(self, account: UUID) -> int:
        """Return a balance."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT amount FROM balance WHERE account = ?", (account.hex,))
            amount: int = cursor.fetchone()["amount"]
            return amount


def contenders(home: Home) -> tuple[Contender, ...]:
    """Return the library as a contender."""
    recorders = Recorders(_settings, SQLiteBalances)
    return (Contender(NAME, f"disk ({_durability()})", _REMARKS, recorders.trials()),)


def _settings(place: Place) -> Mapping[str, str]:
    return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(place.folder / "peer.db")}


def _durability() -> str:
    """Ask a connection of the library's own: it sets WAL, and leaves ``synchronous`` to SQLite's default."""
    with (
        TemporaryDirectory() as folder,
        closing(SQLiteDatastore(f"{folder}/log.db")) as datastore,
        datastore.transaction(commit=False) as cursor,
    ):
        cursor.execute("PRAGMA synchronous")
        level = ("OFF", "NORMAL", "FULL", "EXTRA")[cursor.fetchone()[0]]
        cursor.execute("PRAGMA journal_mode")
        journal = cursor.fetchone()[0].upper()
    return f"{journal}, {level}"
