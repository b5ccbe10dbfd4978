"""The bank that every contender runs, as Twofold has it: deposits, whose events are about 100 bytes of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Meta, Query, Service, Tag, View, Views, answer, decide, evolve, replace

AccountId = Annotated[str, Tag("account")]
Amount = Annotated[int, Meta(gt=0)]

ACCOUNTS = 1_000
"""How many accounts the events of the view's workload are about."""

LONG = 1_000
"""How many events the aggregate has that is loaded."""

HALVES = (range(512), range(512, 1024))
"""The clients of each process where two processes share the work, each with an account of its own."""


class Deposit(Command):
    account: AccountId
    amount: Amount
    currency: str
    reference: str


class DepositMany(Command):
    account: AccountId
    amounts: list[Amount]
    currency: str
    reference: str


class Deposited(Event):
    account: AccountId
    amount: int
    currency: str
    reference: str


class Account(Aggregate, key=AccountId):
    balance: int = 0
    snapshot_every = 0

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield deposited(command.account, command.amount, command.reference)

    @decide
    def deposit_many(self, command: DepositMany) -> Iterator[Deposited]:
        for amount in command.amounts:
            yield deposited(command.account, amount, command.reference)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)


class Balance(View, key=AccountId):
    amount: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + event.amount)


class BalanceOf(Query[int]):
    account: str


@answer
async def balance_of(query: BalanceOf, views: Views) -> int:
    row = await views.get(Balance, query.account)
    return 0 if row is None else row.amount


deciding = Service("bank", aggregates=[Account])
bank = Service("bank", aggregates=[Account], views=[Balance], queries=[balance_of])


def account_name(number: int) -> str:
    """Return the id of an account."""
    return f"account-{number:08}"


def reference(number: int) -> str:
    """Return the text on a deposit."""
    return f"order {number:012}"


def deposit(account: int, number: int) -> Deposit:
    """Return the command for the deposit with this number."""
    return Deposit(account=account_name(account), amount=1 + number % 500, currency="GBP", reference=reference(number))


def deposited(account: str, amount: int, text: str) -> Deposited:
    """Return the event."""
    return Deposited(account=account, amount=amount, currency="GBP", reference=text)


def history(events: int, accounts: int) -> Iterator[Deposited]:
    """Yield deposits that go round the accounts."""
    for number in range(events):
        yield deposited(account_name(number % accounts), 1 + number % 500, reference(number))
