"""The program with which the architecture introduces itself, as it stands there: one screen, and it runs."""

# fmt: off
# ruff: noqa: E701, E702, D300, I001

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any, Self

from twofold import (
    Aggregate, Command, Event, Index, Meta, Query, Rejected, Service, Tag, View, Views, answer, decide, evolve, replace,
)
from twofold.testing import given, service_fixture

AccountId = Annotated[str, Tag("account")]            # an identity: in an event, such a field is a tag

class Withdraw(Command):   account: AccountId; amount: Annotated[int, Meta(gt=0)]
class Deposit(Command):    account: AccountId; amount: Annotated[int, Meta(gt=0)]
class Transfer(Command):   source: AccountId; target: AccountId; amount: Annotated[int, Meta(gt=0)]
class Deposited(Event):    account: AccountId; amount: int
class Withdrawn(Event):    account: AccountId; amount: int
class Transferred(Event):  source: AccountId; target: AccountId; amount: int
class InsufficientFunds(Rejected): "The balance does not cover the withdrawal."

class Account(Aggregate, key=AccountId):              # events -> state -> events
    balance: int = 0

    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=command.account, amount=command.amount)

    @decide
    def withdraw(self, command: Withdraw) -> Iterator[Withdrawn]:
        if command.amount > self.balance:
            raise InsufficientFunds(self.balance)
        yield Withdrawn(account=command.account, amount=command.amount)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)

    @evolve
    def withdrawn(self, event: Withdrawn) -> Self:
        return replace(self, balance=self.balance - event.amount)

    @evolve
    def transferred(self, event: Transferred) -> Self:
        return replace(self, balance=self.balance + event.amount * (1 if self.key == event.target else -1))

@decide                                               # a decision over several states: the boundary is its parameters
def transfer(command: Transfer, source: Account, target: Account) -> Iterator[Transferred]:
    if command.amount > source.balance:
        raise InsufficientFunds(source.balance)
    yield Transferred(source=source.key, target=target.key, amount=command.amount)

class Balance(View, key=AccountId):                   # events -> one row per account, a real SQL table
    owner: Annotated[str, Index] = ""
    amount: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + event.amount)

class FindRich(Query[list[Balance]]): minimum: int = 100

@answer
async def rich(query: FindRich, views: Views) -> list[Balance]:
    return (await views.find(Balance, Balance.c.amount >= query.minimum)).rows

bank = Service("bank", aggregates=[Account], decisions=[transfer], views=[Balance], queries=[rich])

def test_an_account_is_never_overdrawn() -> None:
    """Tested in one line, without a log and without an event loop."""
    given(Account, Deposited(account="ann", amount=5)).when(Withdraw(account="ann", amount=6)).rejects(InsufficientFunds)

# fmt: on


start_bank = service_fixture(bank)


def test_a_command_s_effect_is_seen_by_the_next_question(start_bank: Any) -> None:
    """Read-your-writes is one argument, and the answer is typed."""

    async def scenario() -> list[Balance]:
        async with start_bank() as running:
            receipt = await running.send(Deposit(account="ann", amount=100))
            found: list[Balance] = await running.ask(FindRich(), after=receipt)
            return found

    assert asyncio.run(scenario()) == [Balance(key="ann", amount=100)]
