"""The library `eventsourcing` with its SQLite recorders on files, written as its documentation shows.

Its projection runner needs subscriptions, which its SQLite recorders do not have. So `_follow` does here what the runner
does: it selects notifications and has the projection process each event with its tracking, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InfrastructureFactory, IntegrityError, Tracking
from eventsourcing.projection import Projection
from eventsourcing.sqlite import SQLiteDatastore, SQLiteTrackingRecorder
from eventsourcing.utils import Environment, get_topic

from bench import bank
from bench.clients import as_threads
from bench.model import Contender, Prepare, Sample, Trial, Turns, fresh

NAME = f"eventsourcing {version('eventsourcing')}"
_NOTIFICATIONS = 500
_REMARKS = (
    "Each save is on disk when it returns, and so is each event's effect on the view; callers are threads. Its cache of "
    "aggregates is on, but for loading. Its projection runner needs subscriptions, which its SQLite recorders lack: the "
    "same loop is written out here."
)


class Account(Aggregate):
    """An account, as `bank.Account` is."""

    @event("Opened")
    def __init__(self, name: str) -> None:
        self.name = name
        self.balance = 0

    @classmethod
    def create_id(cls, name: str) -> UUID:
        """Return the account's id, which follows from its name."""
        return uuid5(NAMESPACE_URL, name)

    @event("Deposited")
    def deposit(self, amount: int, currency: str, reference: str) -> None:
        """Add to the balance."""
        self.balance += amount


class Bank(Application[UUID]):
    """The application: what it is asked for by name, it loads, has decide, and saves."""

    def open(self, *numbers: int) -> None:
        """Open accounts, as every aggregate needs a first event here."""
        self.save(*[Account(bank.account_name(number)) for number in numbers])

    def deposit(self, number: int, turn: int, times: int = 1) -> int:
        """Deposit so many times and return the id of the last notification."""
        account: Account = self.repository.get(Account.create_id(bank.account_name(number)))
        for _ in range(times):
            account.deposit(1 + turn % 500, "GBP", bank.reference(turn))
        return self.save(account)[-1].notification.id

    def deposit_at_last(self, number: int, turn: int) -> None:
        """Deposit, and again if another client was faster."""
        while True:
            try:
                self.deposit(number, turn)
            except IntegrityError:
                continue
            return


class Balances(SQLiteTrackingRecorder):
    """The view: a table of balances, kept together with the tracking."""

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


class BalanceProjection(Projection[Balances]):
    """Fills the view."""

    topics = (get_topic(Account.Deposited),)  # type: ignore[attr-defined]

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Refuse what the topics do not select."""
        raise NotImplementedError(domain_event)

    @process_event.register
    def _(self, domain_event: Account.Deposited, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.add(domain_event.originator_id, domain_event.amount, tracking)


def contenders() -> tuple[Contender, ...]:
    """Return the library as a contender."""
    trials = {
        "sequence": _depositing(clients=1, accounts=1),
        "clients64": _depositing(clients=64, accounts=64),
        "clients1024": _depositing(clients=1024, accounts=1024),
        "hot": _depositing(clients=16, accounts=1),
        "batches": fresh(_batches),
        "loading": _loading,
        "catchup": _catching_up,
        "visible": fresh(_visible),
    }
    return (Contender(NAME, f"disk ({_durability()})", _REMARKS, trials),)


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


def _environment(path: Path) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(path),
        "AGGREGATE_CACHE_MAXSIZE": "10000",
    }


def _depositing(clients: int, accounts: int) -> Prepare:
    def run(folder: Path, turns: Turns) -> Sample:
        with closing(Bank(_environment(folder / "log.db"))) as app:
            app.open(*range(accounts))
            return as_threads(turns, clients, lambda client, turn: app.deposit_at_last(client % accounts, turn))

    return fresh(run)


def _batches(folder: Path, turns: Turns) -> Sample:
    with closing(Bank(_environment(folder / "log.db"))) as app:
        app.open(*range(turns.most))
        turns.begin()
        for turn in turns:
            app.deposit(turn, turn, times=100)
        return turns.end(100)


@contextmanager
def _loading(folder: Path, most: int) -> Iterator[Trial]:
    folder.mkdir(parents=True)
    with closing(Bank({**_environment(folder / "log.db"), "AGGREGATE_CACHE_MAXSIZE": ""})) as app:
        app.open(0)
        app.deposit(0, 0, times=bank.LONG)
        account_id = Account.create_id(bank.account_name(0))

        def trial(turns: Turns) -> Sample:
            turns.begin()
            for _ in turns:
                app.repository.get(account_id)
            return turns.end()

        yield trial


def _view(path: Path) -> Balances:
    environment = Environment(BalanceProjection.name, _environment(path))
    return InfrastructureFactory[Balances].construct(environment).tracking_recorder(Balances)


def _record(app: Bank, events: int) -> None:
    """Record deposits that go round the accounts, one for each in a transaction."""
    accounts = [Account(bank.account_name(number)) for number in range(bank.ACCOUNTS)]
    for start in range(0, events, len(accounts)):
        for number, account in enumerate(accounts, start):
            account.deposit(1 + number % 500, "GBP", bank.reference(number))
        app.save(*accounts)


def _follow(app: Bank, projection: BalanceProjection, until: int) -> Iterator[None]:
    """Process events from the last tracked one up to a notification's id."""
    last = projection.view.max_tracking_id(app.name) or 0
    while last < until:
        found = app.recorder.select_notifications(last + 1, _NOTIFICATIONS, topics=projection.topics)
        for notification in found:
            projection.process_event(app.mapper.to_domain_event(notification), Tracking(app.name, notification.id))
            yield
        last = int(found[-1].id)


@contextmanager
def _catching_up(folder: Path, most: int) -> Iterator[Trial]:
    folder.mkdir(parents=True)
    numbers = count()
    with closing(Bank(_environment(folder / "log.db"))) as app:
        _record(app, most)
        head = app.recorder.max_notification_id() or 0

        def trial(turns: Turns) -> Sample:
            view = _view(folder / f"view-{next(numbers)}.db")
            turns.begin()
            for _ in zip(turns, _follow(app, BalanceProjection(view), head), strict=False):
                pass
            sample = turns.end()
            view.datastore.close()
            return sample

        yield trial


def _visible(folder: Path, turns: Turns) -> Sample:
    with closing(Bank(_environment(folder / "log.db"))) as app:
        app.open(*range(bank.ACCOUNTS))
        view = _view(folder / "view.db")
        projection = BalanceProjection(view)
        turns.begin()
        for turn in turns:
            number = turn % bank.ACCOUNTS
            recorded = app.deposit(number, turn)
            for _ in _follow(app, projection, recorded):
                pass
            view.balance(Account.create_id(bank.account_name(number)))
        sample = turns.end()
        view.datastore.close()
        return sample
