"""A row that the database cannot hold is the fault of one event, and parks that event's key alone."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Self

import pytest
from sqlalchemy import update

from examples.bank import Account, AccountId, Balance, BalanceOf, Deposit, Deposited, balance_of
from twofold import Command, Query, Service, View, Views, answer, decide, evolve, project, replace
from twofold.followers import parking
from twofold.service import Settings
from twofold.views import Transaction, layout


class DepositFortune(Command):
    account: AccountId


@decide
def deposit_fortune(command: DepositFortune, account: Account) -> Iterator[Deposited]:
    yield Deposited(account=command.account, amount=1 << 62)


bank = Service("bank", aggregates=[Account], decisions=[deposit_fortune], views=[Balance], queries=[balance_of])


def test_a_sum_that_outgrows_its_column_parks_its_key_and_nothing_else() -> None:
    """The batch that could not be stored is looked through for the event to blame, and the rest of it is stored."""

    async def scenario() -> None:
        async with bank.run(Settings(log="memory:", views="memory:")) as running:
            await running.send(Deposit(account="bob", amount=1))
            for _ in range(3):
                await running.send(DepositFortune(account="ann"))
            receipt = await running.send(Deposit(account="bob", amount=1))
            bob = await running.ask(BalanceOf(account="bob"), after=receipt, timeout_seconds=30)
            ann = await running.ask(BalanceOf(account="ann"), after=receipt)
            assert bob == Balance(key="bob", amount=2)
            assert ann == Balance(key="ann", amount=1 << 62)
            parked = await parking.parked(running.views)
            assert [(each.key, each.position) for each in parked] == [("account:ann", 3), ("account:ann", 4)]
            assert "too large" in parked[0].error

    asyncio.run(scenario())


NOT_KEPT: dict[str, dict[str, Any]] = {
    "a NaN where a number is": {"shares": {"ann": float("nan")}},
    "an infinite one": {"shares": {"ann": float("inf")}},
    "a NaN where anything is": {"notes": {"share": float("nan")}},
    "a Decimal where anything is": {"notes": {"share": Decimal("0.10")}},
    "a number as a name": {"notes": {1: "one"}},
    "a text where a number is": {"shares": {"ann": "all"}},
    "a tuple where a list is": {"parts": (1, 2)},
    "None where a list is": {"parts": None},
}


class Sums(Query[list[int]]):
    pass


@pytest.mark.parametrize("changes", NOT_KEPT.values(), ids=NOT_KEPT)
def test_what_would_be_read_as_something_else_is_not_kept(changes: dict[str, Any]) -> None:
    """A row that cannot be read again would fail every page it is on; one read as another is another."""

    class Kept(View, key=AccountId):
        sum: int = 0
        shares: dict[str, float] = {}
        notes: dict[str, Any] = {}
        parts: list[int] = []

        @evolve
        def deposited(self, event: Deposited) -> Self:
            return replace(self, sum=self.sum + event.amount, **(changes if event.amount == 2 else {}))

    @answer
    async def sums(query: Sums, views: Views) -> list[int]:
        return [row.sum for row in await views.find(Kept)]

    service = Service("kept", aggregates=[Account], views=[Kept], queries=[sums])

    async def scenario() -> None:
        async with service.run(Settings(log="memory:", views="memory:")) as running:
            for account, amount in (("ann", 1), ("bob", 1), ("ann", 2), ("bob", 4)):
                receipt = await running.send(Deposit(account=account, amount=amount))
            assert await running.ask(Sums(), after=receipt, timeout_seconds=30) == [1, 5]
            (parked,) = await parking.parked(running.views)
            assert (parked.key, parked.position) == ("account:ann", 3)
            assert f"Kept.{next(iter(changes))} cannot be stored" in parked.error

    asyncio.run(scenario())


class Word(View, key=AccountId):
    letters: str = ""
    events: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        # The row that comes of it cannot be stored, and the next event of the same key meets it in memory.
        letters = "\0" if event.amount == 1 << 62 else "a"
        if self.letters == "\0":
            raise ValueError("what was computed before is no text")
        return replace(self, letters=letters, events=self.events + 1)


class DepositTwice(Command):
    account: AccountId


@decide
def deposit_twice(command: DepositTwice, account: Account) -> Iterator[Deposited]:
    yield Deposited(account=command.account, amount=1 << 62)
    yield Deposited(account=command.account, amount=1)


words = Service("words", aggregates=[Account], decisions=[deposit_twice], views=[Word])


def test_an_event_that_fails_on_a_row_which_is_refused_stops_nobody() -> None:
    """In one batch the later event fails first, and then the row that it met is refused: the key is parked from there on."""

    async def scenario() -> None:
        async with words.run(Settings(log="memory:", views="memory:")) as running:
            await running.send(Deposit(account="bob", amount=1))
            await running.send(DepositTwice(account="ann"))
            receipt = await running.send(Deposit(account="bob", amount=1))
            async with asyncio.timeout(30):
                while [each.position for each in await running.progress()] != [receipt.position]:
                    await asyncio.sleep(0.01)
            stored = await running.views.load(layout(Word), ["ann", "bob"])
            assert stored == [("bob", "a", 2)]
            assert [(each.key, each.position) for each in await parking.parked(running.views)] == [
                ("account:ann", 2),
                ("account:ann", 3),
            ]

    asyncio.run(scenario())


class Total(View, key=AccountId):
    amount: int = 0


@project(Total)
async def totals(event: Deposited, rows: Transaction) -> None:
    row = await rows.get(Total, event.account)
    if event.amount == 1 << 62:
        rows.execute(update(Total.c.key.table).values(amount=1 << 63))
    rows.put(replace(row, amount=row.amount + event.amount))


def test_a_statement_that_is_refused_parks_its_event() -> None:
    """Also where others are in its batch; those before it are stored."""
    service = Service("totals", aggregates=[Account], decisions=[deposit_twice], projections=[totals])

    async def scenario() -> None:
        async with service.run(Settings(log="memory:", views="memory:")) as running:
            await running.send(Deposit(account="ann", amount=3))
            receipt = await running.send(DepositTwice(account="ann"))
            async with asyncio.timeout(30):
                while [each.position for each in await running.progress()] != [receipt.position]:
                    await asyncio.sleep(0.01)
            assert await running.views.load(layout(Total), ["ann"]) == [("ann", 3)]
            parked = await parking.parked(running.views)
            assert [each.position for each in parked] == [2, 3]
            assert "64 bits" in parked[0].error

    asyncio.run(scenario())


@project(Total)
async def cancelled_totals(event: Deposited, rows: Transaction) -> None:
    if event.account == "ann":
        gone = asyncio.ensure_future(asyncio.sleep(0))
        gone.cancel()
        await gone
    rows.put(Total(key=event.account, amount=event.amount))


class Cut(View, key=AccountId):
    amount: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        if event.account == "ann":
            raise asyncio.CancelledError
        return replace(self, amount=event.amount)


def test_a_cancellation_of_its_own_making_parks_its_event_and_stops_nobody() -> None:
    """Whether a step raises it, or a projection awaits what was cancelled: only who ends the follower cancels it."""
    service = Service(
        "cut", aggregates=[Account], decisions=[deposit_twice], projections=[cancelled_totals], views=[Cut]
    )

    async def scenario() -> None:
        async with service.run(Settings(log="memory:", views="memory:")) as running:
            await running.send(Deposit(account="bob", amount=3))
            await running.send(Deposit(account="ann", amount=3))
            receipt = await running.send(Deposit(account="bob", amount=4))
            async with asyncio.timeout(30):
                while {each.position for each in await running.progress()} != {receipt.position}:
                    await asyncio.sleep(0.01)
            assert await running.views.load(layout(Cut), ["bob", "ann"]) == [("bob", 4)]
            parked = {each.follower: each.error for each in await parking.parked(running.views) if each.error}
            assert parked.keys() == {"cancelled_totals_v1", "cut_v1"}
            assert all("CancelledError" in error for error in parked.values())

    asyncio.run(scenario())
