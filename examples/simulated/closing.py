"""A decision that leaves out a state on which it depends: money goes to an account that is closed."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Meta, Rejected, Service, Tag, decide, evolve, replace
from twofold.simulation import invariant

AccountId = Annotated[str, Tag("account")]
Amount = Annotated[int, Meta(gt=0, le=1000)]


class Deposit(Command):
    account: AccountId
    amount: Amount


class Close(Command):
    account: AccountId


class Transfer(Command):
    source: AccountId
    target: AccountId
    amount: Amount


class Deposited(Event):
    account: AccountId
    amount: int


class Closed(Event):
    account: AccountId


class Transferred(Event):
    source: AccountId
    target: AccountId
    amount: int


class NotPossible(Rejected):
    "The account is closed, or has not enough, or has still something."


class Account(Aggregate, key=AccountId):
    balance: int = 0
    is_closed: bool = False

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        if self.is_closed:
            raise NotPossible
        yield Deposited(account=command.account, amount=command.amount)

    @decide
    def close(self, command: Close) -> Iterator[Closed]:
        if self.is_closed or self.balance:
            raise NotPossible
        yield Closed(account=command.account)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)

    @evolve
    def transferred(self, event: Transferred) -> Self:
        change = event.amount * ((self.key == event.target) - (self.key == event.source))
        return replace(self, balance=self.balance + change)

    @evolve
    def closed(self, event: Closed) -> Self:
        return replace(self, is_closed=True)


@decide
def transfer(command: Transfer, source: Account) -> Iterator[Transferred]:
    if source.is_closed or command.amount > source.balance:
        raise NotPossible
    yield Transferred(source=command.source, target=command.target, amount=command.amount)


@invariant
def what_is_closed_is_empty(account: Account) -> bool:
    """An account that is closed has nothing."""
    return not (account.is_closed and account.balance)


bank = Service("bank", aggregates=[Account], decisions=[transfer])
