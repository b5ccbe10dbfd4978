"""What goes wrong only while it is deployed: each is the bank of `before`, changed as somebody might change it."""

from collections.abc import Iterator
from typing import Self

from tests.simulation.deployed import before
from tests.simulation.deployed.before import AccountId, Deposit, Deposited, Short, Withdraw, Withdrawn
from twofold import Aggregate, Command, Event, Service, View, decide, evolve, replace
from twofold.simulation import invariant


class Balance(View, key=AccountId):
    """Counts cents where `before.Balance` counts whole units, in the same table."""

    amount: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + 100 * event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, amount=self.amount - 100 * event.amount)


same_table = Service("bank", aggregates=[before.Account], decisions=[before.note], views=[Balance])


class Freeze(Command):
    account: AccountId


class Frozen(Event):
    account: AccountId


class Unheeding(Aggregate, key=AccountId):
    """Reads that it is frozen, and pays out all the same."""

    balance: int = 0
    is_frozen: bool = False
    paid_frozen: int = 0

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
        paid_frozen = self.paid_frozen + self.is_frozen * event.amount
        return replace(self, balance=self.balance - event.amount, paid_frozen=paid_frozen)

    @evolve
    def frozen(self, event: Frozen) -> Self:
        return replace(self, is_frozen=True)


class Heeding(Unheeding, key=AccountId):
    @decide
    def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
        if self.is_frozen or command.amount > self.balance:
            raise Short(self.balance)
        yield Withdrawn(account=self.key, amount=command.amount)

    @decide
    def freeze(self, command: Freeze) -> Iterator[Frozen]:
        yield Frozen(account=self.key)


unheeding, heeding = Service("bank", aggregates=[Unheeding]), Service("bank", aggregates=[Heeding])


@invariant
def nothing_frozen_is_paid(account: Heeding) -> bool:
    """What is frozen stays where it is."""
    return not account.paid_frozen
