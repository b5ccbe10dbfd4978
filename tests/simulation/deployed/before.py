"""A bank as it was: `after` is what it has become."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Event,
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
Amount = Annotated[int, Meta(gt=0, le=9)]


class Deposit(Command):
    account: AccountId
    amount: Amount


class Withdraw(Command):
    account: AccountId
    amount: Amount


class Note(Command):
    account: AccountId
    text: str


class Deposited(Event):
    account: AccountId
    amount: int


class Withdrawn(Event):
    account: AccountId
    amount: int


class Noted(Event):
    account: AccountId
    text: str


class Short(Rejected):
    """There is not so much in the account."""


class Account(Aggregate, key=AccountId):
    balance: int = 0

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=self.key, amount=command.amount)

    @decide
    def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
        if command.amount > self.balance:
            raise Short(self.balance)
        yield Withdrawn(account=self.key, amount=command.amount)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, balance=self.balance - event.amount)


@decide
def note(command: Note) -> Iterator[Noted]:
    yield Noted(account=command.account, text=command.text)


class Balance(View, key=AccountId):
    amount: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, amount=self.amount - event.amount)


class Notes(View, key=AccountId):
    last: str = ""

    @evolve
    def noted(self, event: Noted) -> Self:
        return replace(self, last=event.text)


class Visits(View, key=AccountId):
    count: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, count=self.count + 1)


class BalanceOf(Query[Balance | None]):
    account: AccountId


class VisitsOf(Query[Visits | None]):
    account: AccountId


@answer
async def balance_of(query: BalanceOf, views: Views) -> Balance | None:
    return await views.get(Balance, query.account)


@answer
async def visits_of(query: VisitsOf, views: Views) -> Visits | None:
    return await views.get(Visits, query.account)


bank = Service(
    "bank", aggregates=[Account], decisions=[note], views=[Balance, Notes, Visits], queries=[balance_of, visits_of]
)
