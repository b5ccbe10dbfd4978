"""Whole services for tests, in memory and in a folder."""

import asyncio
from pathlib import Path
from typing import Any

from examples.bank import Balance, BalanceOf, Deposit, bank
from twofold import System
from twofold.testing import running, running_system, service_fixture

start_bank = service_fixture(bank)


async def deposit_and_ask(start: Any) -> Balance | None:
    async with start() as started:
        receipt = await started.send(Deposit(account="ann", amount=5))
        found: Balance | None = await started.ask(BalanceOf(account="ann"), after=receipt)
        return found


def test_a_fixture_starts_a_service(start_bank: Any) -> None:
    """In memory, and on files."""
    assert asyncio.run(deposit_and_ask(start_bank)) == Balance(key="ann", amount=5)


def test_services_in_memory_share_nothing() -> None:
    """Each test begins with nothing."""
    for _ in range(2):
        assert asyncio.run(deposit_and_ask(lambda: running(bank))) == Balance(key="ann", amount=5)


def test_a_service_in_a_folder_goes_on_where_it_ended(tmp_path: Path) -> None:
    """A restart is a second run in the same folder; files of other tests are elsewhere."""
    for amount in (5, 10):
        assert asyncio.run(deposit_and_ask(lambda: running(bank, tmp_path))) == Balance(key="ann", amount=amount)
    assert {path.name for path in tmp_path.iterdir()} == {"bank.db", "bank-views.db"}


def test_a_system_runs_in_the_same_ways(tmp_path: Path) -> None:
    """With files for each of its services."""

    async def scenario(folder: Path | None) -> None:
        async with running_system(System(bank), folder) as services:
            await services["bank"].send(Deposit(account="ann", amount=5))

    asyncio.run(scenario(None))
    asyncio.run(scenario(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"bank.db", "bank-views.db"}
