"""A bank as it has become: `before` is what it was.

An event and a command have a new field, another event is of a new version that only views fold, a state and two views are
folded otherwise, a view and a query are not there any more, and others are new.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Self

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
from twofold.messages import upcast

AccountId = Annotated[str, Tag("account")]
Amount = Annotated[int, Meta(gt=0, le=9)]


class Deposit(Command):
    account: AccountId
    amount: Amount
    by: Annotated[str, Meta(max_length=3)] = ""


class Withdraw(Command):
    account: AccountId
    amount: Amount


class Give(Command):
    account: AccountId


class Note(Command):
    account: AccountId
    text: str


class Deposited(Event):
    account: AccountId
    amount: int
    by: str = ""


class Withdrawn(Event):
    account: AccountId
    amount: int


class Noted(Event, version=2):
    account: AccountId
    lines: list[str]

    @upcast(1)
    def a_text_became_lines(data: dict[str, Any]) -> dict[str, Any]:  # It is no method.
        return {"account": data["account"], "lines": [data["text"]]}


class Short(Rejected):
    """There is not so much in the account."""


class Account(Aggregate, key=AccountId):
    balance: int = 0
    deposits: int = 0

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=self.key, amount=command.amount, by=command.by)

    @decide
    def give(self, command: Give) -> Iterator[Deposited]:
        yield Deposited(account=self.key, amount=1 + self.deposits)

    @decide
    def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
        if command.amount > self.balance:
            raise Short(self.balance)
        yield Withdrawn(account=self.key, amount=command.amount)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount, deposits=self.deposits + 1)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, balance=self.balance - event.amount)


@decide
def note(command: Note) -> Iterator[Noted]:
    yield Noted(account=command.account, lines=[command.text, ""])


class Balance(View, key=AccountId, version=2):
    amount: int = 0
    last_by: str = ""

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + event.amount, last_by=event.by)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, amount=self.amount - event.amount)


class Notes(View, key=AccountId, version=2):
    lines: int = 0

    @evolve
    def noted(self, event: Noted) -> Self:
        return replace(self, lines=self.lines + len(event.lines))


class Largest(View, key=AccountId):
    amount: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=max(self.amount, event.amount))


class BalanceOf(Query[Balance | None]):
    account: AccountId


class LargestOf(Query[Largest | None]):
    account: AccountId


@answer
async def balance_of(query: BalanceOf, views: Views) -> Balance | None:
    return await views.get(Balance, query.account)


@answer
async def largest_of(query: LargestOf, views: Views) -> Largest | None:
    return await views.get(Largest, query.account)


bank = Service(
    "bank", aggregates=[Account], decisions=[note], views=[Balance, Notes, Largest], queries=[balance_of, largest_of]
)
