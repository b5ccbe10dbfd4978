"""Whole services, in memory or in a folder, for tests of everything together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from twofold.clock import Clock
from twofold.log import LogStore
from twofold.messaging import Transport
from twofold.service import Running, Service, Settings, System
from twofold.views import ViewStore

MEMORY = Settings(log="memory:", views="memory:")


@asynccontextmanager
async def running(
    service: Service,
    folder: Path | None = None,
    *,
    log: LogStore | str | None = None,
    views: ViewStore | str | None = None,
    transport: Transport | str | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Running]:
    """Run a service for a block: in memory, or on SQLite files in a folder, where the next run finds what this one left.

    What is given besides is used instead, as `Service.run` does.

    >>> import asyncio
    >>> from examples.bank import Balance, BalanceOf, Deposit, bank
    >>> async def scenario():
    ...     async with running(bank) as bank_running:
    ...         receipt = await bank_running.send(Deposit(account="ann", amount=5))
    ...         return await bank_running.ask(BalanceOf(account="ann"), after=receipt)
    >>> asyncio.run(scenario())
    Balance(key='ann', owner='', amount=5)
    """
    usual = _settings(service.name, folder)
    given = Settings(log=usual.log if log is None else log, views=usual.views if views is None else views)
    async with service.run(given, transport=transport, clock=clock) as started:
        yield started


@asynccontextmanager
async def running_system(
    system: System, folder: Path | None = None, *, clock: Clock | None = None
) -> AsyncIterator[dict[str, Running]]:
    """Run several services for a block, as `running` does one; they hear of each other within the process."""
    settings = {name: _settings(name, folder) for name in system.services}
    async with system.run(settings, clock=clock) as started:
        yield started


def service_fixture(service: Service) -> Any:
    """Return a pytest fixture with which a test runs twice: on a service in memory, and on one in SQLite files.

    The test gets a function that starts the service, in files always the same ones::

        start_bank = service_fixture(bank)

        def test_a_deposit_is_seen(start_bank):
            async def scenario():
                async with start_bank() as bank:
                    await bank.send(Deposit(account="ann", amount=5))

            asyncio.run(scenario())
    """

    @pytest.fixture(params=["memory", "sqlite"])
    def start(request: Any, tmp_path: Path) -> Any:
        return partial(running, service, tmp_path if request.param == "sqlite" else None)

    return start


def _settings(name: str, folder: Path | None) -> Settings:
    if folder is None:
        return MEMORY
    return Settings(log=f"sqlite:///{folder / name}.db", views=f"sqlite:///{folder / name}-views.db")
