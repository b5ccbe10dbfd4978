"""A database that is none of ours is as good as ours: it passes the suites, is found by its name, and runs the bank."""

import asyncio
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest

from examples.bank import Balance, BalanceOf, Deposit, FindRich, InsufficientFunds, Withdraw, bank
from twofold.clock import SystemClock
from twofold.log import LogStore
from twofold.service.adapters import open_log, open_views
from twofold.testing import LogConformance, ViewConformance
from twofold.views import ViewStore

CLOCK = SystemClock()


class TestOtherLog(LogConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], LogStore]:
        return lambda: open_log("other:log", CLOCK)


class TestOtherViews(ViewConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], ViewStore]:
        return lambda: open_views("other:views", CLOCK)


def test_it_is_known_by_nothing_but_its_metadata() -> None:
    """Nothing in Twofold names it, and it uses nothing of our adapters, so anybody's can be as good."""
    package = distribution("other-database")
    assert {each.group: each.value for each in package.entry_points} == {
        "twofold.logs": "other_database.log:open_log",
        "twofold.views": "other_database.views:open_views",
    }
    folder = Path(str(package.locate_file("other_database")))
    code = [file.read_text() for file in folder.glob("*.py")]
    assert len(code) == 3
    assert not any("twofold.adapters" in text for text in code)


def test_the_bank_runs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its URL alone, for two instances and after a restart: commands, rejections, and answers with receipts."""
    monkeypatch.setenv("TWOFOLD_LOG", "other:")
    monkeypatch.setenv("TWOFOLD_VIEWS", "other:")

    async def scenario() -> None:
        async with bank.run() as one, bank.run() as other:
            first = await one.send(Deposit(account="ann", amount=500_000), id="form-1")
            receipt = await other.send(Withdraw(account="ann", amount=200_000))
            assert await one.ask(BalanceOf(account="ann"), after=receipt) == Balance(key="ann", amount=300_000)
            assert await other.ask(FindRich(), after=receipt) == [Balance(key="ann", amount=300_000)]
            with pytest.raises(InsufficientFunds):
                await one.send(Withdraw(account="ann", amount=300_001))
        async with bank.run() as again:
            assert await again.send(Deposit(account="ann", amount=500_000), id="form-1") == first
            assert await again.ask(BalanceOf(account="ann"), after=receipt) == Balance(key="ann", amount=300_000)

    asyncio.run(scenario())
