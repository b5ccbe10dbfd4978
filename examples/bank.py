"""A bank in one file: accounts that are never overdrawn, transfers between them, and who is rich.

Run it with ``twofold run examples.bank:bank``.
"""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Event,
    Index,
    Meta,
    Query,
    Rejected,
    Service,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    replace,
)

AccountId = Annotated[str, Tag("account")]
Amount = Annotated[int, Meta(gt=0, le=10**12, description="In cents.")]


class Open(Command):
    account: AccountId
    owner: str


class Deposit(Command):
    account: AccountId
    amount: Amount


class Withdraw(Command):
    account: AccountId
    amount: Amount


class Transfer(Command):
    source: AccountId
    target: AccountId
    amount: Amount


class Opened(Event):
    account: AccountId
    owner: str


class Deposited(Event):
    account: AccountId
    amount: int


class Withdrawn(Event):
    account: AccountId
    amount: int


class Transferred(Event):
    source: AccountId
    target: AccountId
    amount: int


class InsufficientFunds(Rejected):
    "The balance does not cover the withdrawal."


class AlreadyOpen(Rejected):
    "The account has an owner already."


class Account(Aggregate, key=AccountId):
    owner: str = ""
    balance: int = 0

    @decide
    def open(self, command: Open) -> Iterator[Opened]:
        if self.owner:
            raise AlreadyOpen(self.owner)
        yield Opened(account=command.account, owner=command.owner)

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=command.account, amount=command.amount)

    @decide
    def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
        if command.amount > self.balance:
            raise InsufficientFunds(self.balance)
        yield Withdrawn(account=command.account, amount=command.amount)

    @evolve
    def opened(self, event: Opened) -> Self:
        return replace(self, owner=event.owner)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, balance=self.balance - event.amount)

    @evolve
    def transferred(self, event: Transferred) -> Self:
        change = event.amount * ((self.key == event.target) - (self.key == event.source))
        return replace(self, balance=self.balance + change)


@decide
def transfer(command: Transfer, source: Account, target: Account) -> Iterator[Transferred]:
    if command.amount > source.balance:
        raise InsufficientFunds(source.balance)
    yield Transferred(source=source.key, target=target.key, amount=command.amount)


class Balance(View, key=AccountId):
    owner: Annotated[str, Index] = ""
    amount: Annotated[int, Index] = 0

    @evolve
    def opened(self, event: Opened) -> Self:
        return replace(self, owner=event.owner)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, amount=self.amount - event.amount)

    @evolve
    def transferred(self, event: Transferred) -> Self:
        change = event.amount * ((self.key == event.target) - (self.key == event.source))
        return replace(self, amount=self.amount + change)


class BalanceOf(Query[Balance | None]):
    account: str


class FindRich(Query[list[Balance]]):
    minimum: int = 100_000
    limit: Annotated[int, Meta(ge=1, le=1000)] = 10


@answer
async def balance_of(query: BalanceOf, views: Views) -> Balance | None:
    return await views.get(Balance, query.account)


@answer
async def rich(query: FindRich, views: Views) -> list[Balance]:
    page = await views.find(
        Balance, Balance.c.amount >= query.minimum, order_by=Balance.c.amount.desc(), limit=query.limit
    )
    return page.rows


bank = Service("bank", aggregates=[Account], decisions=[transfer], views=[Balance], queries=[balance_of, rich])
