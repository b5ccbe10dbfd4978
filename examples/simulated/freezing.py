"""A new event that is deployed in one step: the code of before does not know that an account is frozen, and pays out."""

from collections.abc import Iterator
from typing import Self

from examples.simulated.before_freezing import AccountId, Deposit, Deposited, NotPossible, Withdraw, Withdrawn
from twofold import Aggregate, Command, Event, Service, decide, evolve, replace


class Freeze(Command):
    account: AccountId


class Frozen(Event):
    account: AccountId


class Account(Aggregate, key=AccountId):
    balance: int = 0
    is_frozen: bool = False

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=command.account, amount=command.amount)

    @decide
    def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
        if self.is_frozen or command.amount > self.balance:
            raise NotPossible
        yield Withdrawn(account=command.account, amount=command.amount)

    @decide
    def freeze(self, command: Freeze) -> Iterator[Frozen]:
        yield Frozen(account=command.account)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, balance=self.balance - event.amount)

    @evolve
    def frozen(self, event: Frozen) -> Self:
        return replace(self, is_frozen=True)


bank = Service("bank", aggregates=[Account])
