"""Accounts as they were before they could be frozen."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Meta, Rejected, Service, Tag, decide, evolve, replace

AccountId = Annotated[str, Tag("account")]
Amount = Annotated[int, Meta(gt=0, le=1000)]


class Deposit(Command):
    account: AccountId
    amount: Amount


class Withdraw(Command):
    account: AccountId
    amount: Amount


class Deposited(Event):
    account: AccountId
    amount: int


class Withdrawn(Event):
    account: AccountId
    amount: int


class NotPossible(Rejected):
    "The account has not enough."


class Account(Aggregate, key=AccountId):
    balance: int = 0

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=command.account, amount=command.amount)

    @decide
    def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
        if command.amount > self.balance:
            raise NotPossible
        yield Withdrawn(account=command.account, amount=command.amount)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, balance=self.balance - event.amount)


bank = Service("bank", aggregates=[Account])
