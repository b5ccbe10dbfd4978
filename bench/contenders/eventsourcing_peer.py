"""The library `eventsourcing`, written as its documentation shows, with the recorders of any database.

`_follow` does what its projection runner does: it selects notifications and has the projection process each event with its
tracking, in one transaction. The runner needs subscriptions, which the recorders for SQLite do not have; it hands events
from thread to thread, and waiting for it is polling.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InfrastructureFactory, IntegrityError, Tracking, TrackingRecorder
from eventsourcing.projection import Projection
from eventsourcing.utils import Environment, get_topic

from bench import bank
from bench.clients import as_threads, in_processes
from bench.model import Home, Place, Prepare, Sample, Trial, Turns, fresh

NAME = f"eventsourcing {version('eventsourcing')}"
_NOTIFICATIONS = 500


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


class Balances(TrackingRecorder, ABC):
    """The view: a table of balances, kept together with the tracking."""

    datastore: Any

    @abstractmethod
    def add(self, account: UUID, amount: int, tracking: Tracking) -> None:
        """Add to a balance and take note of the event, in one transaction."""

    @abstractmethod
    def balance(self, account: UUID) -> int:
        """Return a balance."""


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


class Recorders(msgspec.Struct, frozen=True):
    """What differs from one database to another: the settings, and the view's recorder."""

    settings: Callable[[Place], Mapping[str, str]]
    view_class: type[Balances]

    def environment(self, place: Place) -> dict[str, str]:
        """Return the settings of an application whose database is empty."""
        return {"AGGREGATE_CACHE_MAXSIZE": "10000", **self.settings(place)}

    def view(self, place: Place) -> Balances:
        """Make the view."""
        environment = Environment(BalanceProjection.name, self.environment(place))
        return InfrastructureFactory[Balances].construct(environment).tracking_recorder(self.view_class)

    def trials(self) -> dict[str, Prepare]:
        """Return the library's trials."""
        return {
            "sequence": self._depositing(clients=1, accounts=1),
            "clients64": self._depositing(clients=64, accounts=64),
            "clients1024": self._depositing(clients=1024, accounts=1024),
            "processes2": fresh(self._depositing_in_processes),
            "hot": self._depositing(clients=16, accounts=1),
            "batches": fresh(self._batches),
            "loading": self._loading,
            "catchup": self._catching_up,
            "visible": fresh(self._visible),
        }

    def _depositing(self, clients: int, accounts: int) -> Prepare:
        def run(place: Place, turns: Turns) -> Sample:
            with closing(Bank(self.environment(place))) as app:
                app.open(*range(accounts))
                return as_threads(
                    turns, range(clients), lambda client, turn: app.deposit_at_last(client % accounts, turn)
                )

        return fresh(run)

    def _depositing_in_processes(self, place: Place, turns: Turns) -> Sample:
        environment = self.environment(place)
        with closing(Bank(environment)) as app:
            app.open(*range(1024))
        # Two processes that make the tables at once get in each other's way.
        environment["CREATE_TABLE"] = "n"
        return in_processes(turns, [partial(_deposit, environment, clients) for clients in bank.HALVES])

    def _batches(self, place: Place, turns: Turns) -> Sample:
        with closing(Bank(self.environment(place))) as app:
            app.open(*range(turns.most))
            turns.begin()
            for turn in turns:
                app.deposit(turn, turn, times=100)
            return turns.end(100)

    @contextmanager
    def _loading(self, home: Home, most: int) -> Iterator[Trial]:
        with home.place() as place, closing(Bank({**self.environment(place), "AGGREGATE_CACHE_MAXSIZE": ""})) as app:
            app.open(0)
            app.deposit(0, 0, times=bank.LONG)
            account_id = Account.create_id(bank.account_name(0))

            def trial(turns: Turns) -> Sample:
                turns.begin()
                for _ in turns:
                    app.repository.get(account_id)
                return turns.end()

            yield trial

    @contextmanager
    def _catching_up(self, home: Home, most: int) -> Iterator[Trial]:
        with home.place() as place, closing(Bank(self.environment(place))) as app:
            _record(app, most)
            head = app.recorder.max_notification_id() or 0

            def trial(turns: Turns) -> Sample:
                with home.place() as empty:
                    view = self.view(empty)
                    turns.begin()
                    for _ in zip(turns, _follow(app, BalanceProjection(view), head), strict=False):
                        pass
                    sample = turns.end()
                    view.datastore.close()
                    return sample

            yield trial

    def _visible(self, place: Place, turns: Turns) -> Sample:
        with closing(Bank(self.environment(place))) as app:
            app.open(*range(bank.ACCOUNTS))
            view = self.view(place)
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


def _deposit(environment: dict[str, str], clients: range, turns: Turns) -> Sample:
    with closing(Bank(environment)) as app:
        return as_threads(turns, clients, app.deposit_at_last)


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
