"""A service that runs: what it promises at its start, while it works, and at its end."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import pytest

from examples.bank import (
    Account,
    Balance,
    BalanceOf,
    Deposit,
    Deposited,
    InsufficientFunds,
    Withdraw,
    bank,
    transfer,
)
from twofold import Command, Event, Query, Service, System, Tag, View, Views, answer, decide, evolve, replace
from twofold.clock import SystemClock
from twofold.errors import (
    DeclarationError,
    LogUnavailable,
    NotRunning,
    ReceiptTimeout,
    SettingsError,
    UnknownMessage,
)
from twofold.followers import checkpoints
from twofold.limits import Limits, QueryLimits, SqliteLimits
from twofold.service import Settings
from twofold.testing import running, running_system, service_fixture
from twofold.views import replacing

start_bank = service_fixture(bank)

RoomId = Annotated[str, Tag("room")]


def files(folder: Path, name: str = "bank") -> Settings:
    return Settings(log=f"sqlite:///{folder}/{name}.db", views=f"sqlite:///{folder}/{name}-views.db")


# Read your writes.


def test_an_effect_is_seen_a_thousand_times_in_a_row(start_bank: Any) -> None:
    """Each question that comes with a receipt, with no pause between command and question."""

    async def scenario() -> None:
        async with start_bank() as started:
            for number in range(1, 1001):
                receipt = await started.send(Deposit(account="ann", amount=1))
                found = await started.ask(BalanceOf(account="ann"), after=receipt)
                assert found == Balance(key="ann", amount=number)

    asyncio.run(scenario())


def test_an_effect_is_seen_in_the_other_process_too(tmp_path: Path) -> None:
    """The one that follows and the one that asks need not be the same: then the database is asked how far it is."""

    async def scenario() -> None:
        async with running(bank, tmp_path) as one, running(bank, tmp_path) as other:
            for number in range(1, 51):
                receipt = await (one, other)[number % 2].send(Deposit(account="ann", amount=1))
                for each in (one, other):
                    assert await each.ask(BalanceOf(account="ann"), after=receipt) == Balance(key="ann", amount=number)

    asyncio.run(scenario())


def test_several_receipts_are_waited_for_together() -> None:
    """As a client has them that has sent several commands."""

    async def scenario() -> None:
        async with running(bank) as started:
            receipts = await asyncio.gather(*[started.send(Deposit(account="ann", amount=1)) for _ in range(10)])
            assert await started.ask(BalanceOf(account="ann"), after=receipts) == Balance(key="ann", amount=10)

    asyncio.run(scenario())


class LeapingClock(SystemClock):
    """A clock on which an hour passes between two looks."""

    hours = 0

    def monotonic(self) -> float:
        self.hours += 1
        return self.hours * 3600.0


class Unreachable(Query[str]):
    pass


@answer
async def unreachable(query: Unreachable, views: Views) -> str:
    await views.find(Balance)
    return "reached"


def test_the_patience_of_a_question_is_for_all_that_it_waits_for() -> None:
    """It does not begin anew with each receipt and each view: when the time is over, only what is there is read."""
    service = Service("bank", aggregates=[Account], views=[Balance], queries=[unreachable])

    async def scenario() -> None:
        async with running(service, clock=LeapingClock()) as started:
            receipt = await started.send(Deposit(account="ann", amount=1))
            tasks = started.background._tasks
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await replacing.rewind(started.views, "balance_v1", ["balance_v1"])
            async with asyncio.timeout(60):
                with pytest.raises(ReceiptTimeout, match="after 0 seconds"):
                    await started.ask(Unreachable(), after=receipt, timeout_seconds=3000)

    asyncio.run(scenario())


def test_limits_reach_those_whom_they_are_for(tmp_path: Path) -> None:
    """What the settings say is how long a question waits for its receipts, and an append for the file's lock."""
    limits = Limits(queries=QueryLimits(patience_seconds=0.06), sqlite=SqliteLimits(busy_seconds=0.05))
    settings = msgspec.structs.replace(files(tmp_path), limits=limits)

    async def scenario() -> None:
        async with bank.run(settings):
            pass
        async with bank.run(settings, roles=["commands", "queries"]) as started:
            receipt = await started.send(Deposit(account="ann", amount=1))
            with pytest.raises(ReceiptTimeout, match=r"after 0\.06 seconds"):
                await started.ask(BalanceOf(account="ann"), after=receipt)
            lock = sqlite3.connect(tmp_path / "bank.db", isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            with pytest.raises(LogUnavailable, match="has held the file's lock"):
                await started.send(Deposit(account="ann", amount=1))
            lock.close()

    asyncio.run(scenario())


# The end.


def test_what_was_accepted_is_finished(tmp_path: Path) -> None:
    """Commands that are on their way when the service ends get their receipts; later ones are told that it has ended."""

    async def scenario(folder: Path) -> None:
        async with running(bank, folder) as started:
            sending = [asyncio.create_task(started.send(Deposit(account=f"a{n}", amount=1))) for n in range(50)]
            await asyncio.sleep(0)
        receipts = await asyncio.gather(*sending)
        assert sorted(receipt.position for receipt in receipts) == list(range(1, 51))
        with pytest.raises(NotRunning, match="bank has ended"):
            await started.send(Deposit(account="ann", amount=1))
        with pytest.raises(NotRunning, match="bank has ended"):
            await started.ask(BalanceOf(account="ann"))

    asyncio.run(scenario(tmp_path))


def test_a_service_that_fails_to_start_leaves_nothing_open(tmp_path: Path) -> None:
    """What was opened before the failure is closed, and the next start can go on."""
    newer = sqlite3.connect(tmp_path / "bank.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()

    async def scenario() -> None:
        with pytest.raises(SettingsError, match=r"bank\.db: its schema is version 99"):
            async with running(bank, tmp_path):
                pass
        (tmp_path / "bank.db").unlink()
        async with running(bank, tmp_path) as started:
            await started.send(Deposit(account="ann", amount=1))

    asyncio.run(scenario())


def test_a_view_whose_columns_changed_needs_a_version(tmp_path: Path) -> None:
    """Result at the start, with the line to write."""

    class Balance(View, key=Annotated[str, Tag("account")]):
        amount: str = ""

        @evolve
        def deposited(self, event: Deposited) -> Self:
            return self

    async def scenario() -> None:
        async with running(bank, tmp_path):
            pass
        with pytest.raises(DeclarationError, match=r"(?s)Balance.*balance_v1.*class Balance\(View, key=…, version=2\)"):
            async with running(Service("bank", views=[Balance]), tmp_path):
                pass

    asyncio.run(scenario())


def test_closing_has_one_bound_whatever_holds_up_the_databases(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While somebody has the lock of both files, the end comes all the same: it is said, and who waited is told."""
    settings = files(tmp_path)

    async def scenario() -> None:
        async with bank.run(settings) as running:
            await running.send(Deposit(account="ann", amount=5))
            locks = [sqlite3.connect(tmp_path / name, isolation_level=None) for name in ("bank.db", "bank-views.db")]
            for lock in locks:
                lock.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(running.send(Deposit(account="ann", amount=5)))
            await asyncio.sleep(0)
        # The locks are still there: nobody has waited for them.
        with pytest.raises(LogUnavailable):
            await waiting
        for lock in locks:
            lock.close()

    with caplog.at_level(logging.WARNING, "twofold.service"):
        asyncio.run(scenario())
    assert "did not close within 5 seconds" in caplog.text


def test_a_lease_is_given_back_however_early_the_end_comes(tmp_path: Path) -> None:
    """Ended in the middle of its start, a service leaves no claim behind for which the next one would have to wait."""

    async def scenario() -> None:
        for turns in range(12):
            async with running(bank, tmp_path):
                for _ in range(turns):
                    await asyncio.sleep(0)
            async with running(bank, tmp_path) as started:
                assert [each.owner for each in await checkpoints.progress(started.views) if each.owner] in (
                    [],
                    [started.coordinator.owner],
                )
                receipt = await started.send(Deposit(account="ann", amount=1))
                # Half the time for which a lease that was not given back would have to be waited for.
                found = await started.ask(BalanceOf(account="ann"), after=receipt, timeout_seconds=1.5)
                assert found == Balance(key="ann", amount=turns + 1)

    asyncio.run(scenario())


# The one instance of a program.


def test_a_service_is_its_own_instance_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configured by the environment; a second start, and use before the start, say what to write instead."""
    monkeypatch.setenv("TWOFOLD_LOG", "memory:")
    monkeypatch.setenv("TWOFOLD_VIEWS", "memory:")
    single = Service("bank", aggregates=[Account], decisions=[transfer], views=[Balance], queries=[unreachable])

    async def scenario() -> None:
        with pytest.raises(NotRunning, match="async with bank"):
            await single.send(Deposit(account="ann", amount=1))
        async with single:
            assert single.is_running
            receipt = await single.send(Deposit(account="ann", amount=1))
            assert await single.ask(Unreachable(), after=receipt) == "reached"
            with pytest.raises(DeclarationError, match=r"bank runs already.*bank\.run"):
                await single.__aenter__()
        assert not single.is_running
        async with single.lifespan():
            assert single.is_running

    asyncio.run(scenario())


def test_what_a_service_does_not_know_is_named() -> None:
    """With what would make it known."""

    async def scenario() -> None:
        async with running(bank) as started:
            with pytest.raises(UnknownMessage, match=r"Nothing answers Unreachable here.*queries="):
                await started.ask(Unreachable())
            with pytest.raises(InsufficientFunds):
                await started.send(Withdraw(account="ann", amount=1))

    asyncio.run(scenario())


# Systems.


def test_a_system_may_have_no_services() -> None:
    """A program that takes its services from a list has an empty one perhaps."""

    async def scenario() -> None:
        async with System().run() as services:
            assert services == {}

    asyncio.run(scenario())


class Sold(Event):
    room: RoomId


class Sell(Command):
    room: RoomId


@decide
def sell(command: Sell) -> Iterator[Sold]:
    yield Sold(room=command.room)


class RoomSold(Event, name="Sold", source="sales"):
    room: RoomId


class Sales(View, key=RoomId):
    count: int = 0

    @evolve
    def sold(self, event: RoomSold) -> Self:
        return replace(self, count=self.count + 1)


class SalesOf(Query[int]):
    room: str


@answer
async def sales_of(query: SalesOf, views: Views) -> int:
    row = await views.get(Sales, query.room)
    return row.count if row else 0


sales = Service("sales", decisions=[sell], publishes=[Sold])
books = Service("books", views=[Sales], queries=[sales_of], subscribes=[RoomSold])
diary = Service("diary", views=[Sales], queries=[sales_of], subscribes=[RoomSold])


@pytest.mark.parametrize("order", [(sales, books, diary), (diary, books, sales), (books, sales, diary)])
def test_a_system_starts_in_any_order(order: tuple[Service, ...], tmp_path: Path) -> None:
    """Each hears everything, also what was published while it was not there."""

    async def scenario() -> None:
        async with running(sales, tmp_path) as alone:
            await alone.send(Sell(room="1"))
        async with running_system(System(*order), tmp_path) as services:
            receipt = await services["sales"].send(Sell(room="1"))
            for name in ("books", "diary"):
                assert await services[name].ask(SalesOf(room="1"), after=receipt) == 2

    asyncio.run(scenario())


def test_a_service_with_a_transport_of_its_own_holds_nobody_up(tmp_path: Path) -> None:
    """It does not come for what is handed over within the process, and nothing must wait there for it."""

    async def scenario() -> None:
        settings = {name: files(tmp_path, name) for name in ("sales", "books", "diary")}
        settings["diary"] = replace(settings["diary"], transport="feed:sales=http://127.0.0.1:9")
        async with System(sales, books, diary).run(settings) as services:
            for number in (1, 2, 3):
                receipt = await services["sales"].send(Sell(room="1"))
                assert await services["books"].ask(SalesOf(room="1"), after=receipt) == number

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["log", "views"])
def test_services_do_not_share_a_database(tmp_path: Path, what: str) -> None:
    """One's events would be the other's, and one's place the other's; in memory each has its own anyway."""

    async def scenario() -> None:
        settings = {name: files(tmp_path, name) for name in ("sales", "books")}
        settings["books"] = replace(settings["books"], **{what: getattr(settings["sales"], what)})
        with pytest.raises(
            SettingsError, match=rf"sales and books have one URL for their {what}.*TWOFOLD_{what.upper()}="
        ):
            async with System(sales, books).run(settings):
                pass

    asyncio.run(scenario())
