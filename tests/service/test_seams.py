"""Log, views' database, transport, wake-up signal and clock: a program puts its own in the place of each."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from examples.bank import Balance, BalanceOf, Deposit, bank
from tests.messaging.service_pair import Demand, DemandFor, Sell, both, buying, till
from tests.support.push_transport import PushingTransport
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import SettingsError
from twofold.operations.databases import opened_log
from twofold.service import Settings
from twofold.testing import running

MEMORY = Settings(log="memory:", views="memory:")


class OpenedStore(MemoryStore):
    """A log that takes note of what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    async def open(self, *, read_only: bool = False) -> None:
        self.told.append("open")

    async def close(self) -> None:
        self.told.append("close")


class OpenedViews(SqliteViews):
    """Views in memory that take note of what is done with them."""

    def __init__(self) -> None:
        super().__init__(":memory:", SystemClock())
        self.told: list[str] = []

    async def open(self, *, read_only: bool = False) -> None:
        self.told.append("open")
        await super().open(read_only=read_only)

    async def close(self) -> None:
        self.told.append("close")
        await super().close()


class OpenTransport(PushingTransport):
    """A transport that takes note of being closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


async def deposit(started: Any, amount: int = 5) -> None:
    receipt = await started.send(Deposit(account="ann", amount=amount))
    assert await started.ask(BalanceOf(account="ann"), after=receipt) == Balance(key="ann", amount=amount)


def test_objects_for_log_and_views_are_opened_and_closed_by_the_service() -> None:
    """Once each, as if a URL had led to them: whoever makes one need not know when that has to be."""

    async def scenario() -> None:
        log, views = OpenedStore(), OpenedViews()
        async with bank.run(log=log, views=views) as started:
            assert started.log.store is log
            assert started.views.store is views
            await deposit(started)
            assert log.told == views.told == ["open"]
        assert log.told == views.told == ["open", "close"]

    asyncio.run(scenario())


def test_what_is_not_given_is_read_from_the_environment_and_what_is_given_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that brings its own log does not depend on what somebody has set for another one."""
    monkeypatch.setenv("TWOFOLD_LOG", "nothing that there is")
    monkeypatch.setenv("TWOFOLD_VIEWS", f"sqlite:///{tmp_path}/{{service}}.db")

    async def scenario() -> None:
        async with bank.run(log="memory:") as started:
            await deposit(started)
        with pytest.raises(SettingsError, match="TWOFOLD_LOG='\\*\\*\\*'"):
            bank.run(views="memory:")

    asyncio.run(scenario())
    assert tmp_path.joinpath("bank.db").exists()


@pytest.mark.parametrize("what", ["log", "views", "transport"])
def test_settings_and_an_argument_for_the_same_are_refused(what: str) -> None:
    """Nobody has to know which of the two would win."""
    given: Any = {what: MemoryStore()}
    settings = Settings(log="memory:", views="memory:", transport="feed:sales=http://127.0.0.1:9")
    with pytest.raises(SettingsError, match=rf"bank\.run.*the settings name the {what}, and so does {what}=….*leave"):
        bank.run(settings, **given)


def test_a_wrong_url_or_object_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """The log is looked at before the views' file is made."""
    wrong: Any = object()

    async def scenario() -> None:
        for log, says in (("mysql://x", "'mysql' is not one of"), (wrong, "object is no LogStore")):
            with pytest.raises(SettingsError, match=says):
                async with bank.run(log=log, views=f"sqlite:///{tmp_path}/views.db"):
                    pass

    asyncio.run(scenario())
    assert not list(tmp_path.iterdir())


def test_a_transport_that_is_given_is_left_open() -> None:
    """It came open, and others may use it on: here, one that carries from one service to another."""

    async def scenario() -> None:
        transport = OpenTransport([("buying", "till")])
        async with buying.run(MEMORY, transport=transport) as hearing, till.run(MEMORY, transport=transport) as telling:
            receipt = await telling.send(Sell(item="pen"))
            assert await hearing.ask(DemandFor(item="pen"), after=receipt) == Demand(key="pen", sales=1, units=1)
        assert not transport.closed

    asyncio.run(scenario())


class RungStore(MemoryStore):
    """A log whose appends by other processes are told by a bell of the program's own."""

    def __init__(self) -> None:
        super().__init__()
        self.bell = asyncio.Event()
        self.waits = False

    async def changed(self, timeout_seconds: float) -> None:
        self.waits = True
        await self.bell.wait()
        self.bell.clear()


def test_the_signal_that_wakes_followers_is_the_logs_own() -> None:
    """What another process has appended is seen when the bell rings, and not by asking again and again."""

    async def scenario() -> None:
        shared = RungStore()
        async with (
            bank.run(log=shared, views="memory:") as reading,
            bank.run(log=shared, views="memory:", roles=["commands"]) as writing,
            asyncio.timeout(30),
        ):
            while not shared.waits:
                await asyncio.sleep(0.001)
            await writing.send(Deposit(account="ann", amount=5))
            await asyncio.sleep(0.001)
            assert reading.log.known_head == 0
            shared.bell.set()
            while await reading.ask(BalanceOf(account="ann")) != Balance(key="ann", amount=5):
                await asyncio.sleep(0.001)

    asyncio.run(scenario())


class FixedClock(SystemClock):
    """A clock on which it is always the same time."""

    def now_us(self) -> int:
        return 1_000_000


def test_the_clock_says_when_something_was_recorded() -> None:
    """The program's own, by which a simulation makes time pass as it wants."""

    async def scenario() -> None:
        async with bank.run(log="memory:", views="memory:", clock=FixedClock()) as started:
            await deposit(started)
            (event,) = await started.log.read()
            assert event.recorded_at_us == 1_000_000

    asyncio.run(scenario())


def test_a_system_takes_objects_by_the_settings_of_each_service() -> None:
    """As each service keeps its own; one for two of them is refused, as one URL is."""

    async def scenario() -> None:
        stores = {"till": OpenedStore(), "buying": OpenedStore()}
        settings = {name: Settings(log=store, views="memory:") for name, store in stores.items()}
        async with both.run(settings) as services:
            assert {name: each.log.store for name, each in services.items()} == stores
        assert [store.told for store in stores.values()] == [["open", "close"]] * 2
        same = {name: Settings(log=stores["till"], views="memory:") for name in stores}
        with pytest.raises(SettingsError, match=r"till and buying have one object for their log.*of its own"):
            async with both.run(same):
                pass

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, r"lacks the settings of till, and has those of none"),
        ({"till": MEMORY, "buyign": MEMORY}, r"lacks the settings of buying, and has those of till, buyign\."),
        (MEMORY, r"a mapping with the settings of till, buying, by their names, and got a Settings\."),
        ({"till": MEMORY, "buying": "memory:"}, r"The settings of buying are a str: write Settings\(log=…, views=…\)"),
    ],
)
def test_the_settings_of_a_system_are_those_of_its_services(given: Any, says: str) -> None:
    """With a name left out or mistyped, a service would run on the defaults or end in the middle of the start."""

    async def scenario() -> None:
        async with both.run(given):
            pass

    with pytest.raises(SettingsError, match=says):
        asyncio.run(scenario())


def test_the_testing_kit_takes_the_same(tmp_path: Path) -> None:
    """What is not given is in memory or in the folder, as ever."""

    async def scenario() -> None:
        store = OpenedStore()
        async with running(bank, tmp_path, log=store, clock=FixedClock()) as started:
            await deposit(started)
        assert store.told == ["open", "close"]

    asyncio.run(scenario())
    assert [each.name for each in tmp_path.glob("*.db")] == ["bank-views.db"]


def test_settings_show_objects_by_their_class() -> None:
    """What an object says of itself may have a password in it."""
    assert (
        repr(Settings(log=MemoryStore(), views="memory:"))
        == "Settings(log=<MemoryStore>, views='memory:', transport='')"
    )


def test_nobody_looks_from_outside_at_an_object() -> None:
    """What one process has, another one does not see; so it is said as of what is in memory."""

    async def scenario() -> None:
        with pytest.raises(SettingsError, match="<MemoryStore>: what a service has in memory, no other process sees"):
            async with opened_log(MemoryStore()):
                pass

    asyncio.run(scenario())
