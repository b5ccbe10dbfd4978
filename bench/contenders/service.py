"""Twofold as a user has it: commands sent to a service, queries asked of it, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench import bank
from bench.clients import as_tasks
from bench.model import Contender, Prepare, Sample, Trial, Turns, fresh
from twofold import Receipt
from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.commands.states import States
from twofold.fold import fold_of
from twofold.log import Log, NewEvent
from twofold.messages import encode, tagger
from twofold.service.settings import Settings

_DURABILITY = "disk (WAL, FULL)"
_REMARKS = (
    "A command is answered once its events are on disk. The view's file may lose its last commits (synchronous=NORMAL), "
    "which are then made again from the log."
)


def contenders() -> tuple[Contender, ...]:
    """Return Twofold, and Twofold doing on distinct aggregates what the others do on one."""
    trials = {
        "sequence": _deciding(clients=1, accounts=1),
        "clients64": _deciding(clients=64, accounts=64),
        "clients1024": _deciding(clients=1024, accounts=1024),
        "hot": _deciding(clients=16, accounts=1),
        "batches": fresh(_batches),
        "loading": _loading,
        "catchup": _catching_up,
        "visible": fresh(_visible),
    }
    spread = {"hot": _deciding(clients=16, accounts=16)}
    return Contender("Twofold", _DURABILITY, _REMARKS, trials), Contender(
        "Twofold, 16 aggregates", _DURABILITY, trials=spread
    )


def settings(folder: Path) -> Settings:
    """Return the settings of a service whose files are in a folder."""
    return Settings(log=f"sqlite:///{folder / 'log.db'}", views=f"sqlite:///{folder / 'views.db'}")


def _deciding(clients: int, accounts: int) -> Prepare:
    """Have the clients send deposits, each its own again and again, spread over so many accounts."""

    async def scenario(folder: Path, turns: Turns) -> Sample:
        commands = [bank.deposit(client % accounts, client) for client in range(clients)]
        async with bank.deciding.run(settings(folder)) as running:
            return await as_tasks(turns, clients, lambda client, turn: running.send(commands[client]))

    return fresh(lambda folder, turns: asyncio.run(scenario(folder, turns)))


def _batches(folder: Path, turns: Turns) -> Sample:
    amounts = list(range(1, 101))

    async def scenario() -> Sample:
        async with bank.deciding.run(settings(folder)) as running:
            turns.begin()
            for turn in turns:
                await running.send(
                    bank.DepositMany(
                        account=bank.account_name(turn), amounts=amounts, currency="GBP", reference=bank.reference(turn)
                    )
                )
            return turns.end(len(amounts))

    return asyncio.run(scenario())


def _visible(folder: Path, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        async with bank.bank.run(settings(folder)) as running:
            turns.begin()
            for turn in turns:
                command = bank.deposit(turn % bank.ACCOUNTS, turn)
                receipt = await running.send(command)
                await running.ask(bank.BalanceOf(account=command.account), after=receipt)
            return turns.end()

    return asyncio.run(scenario())


async def _record(path: Path, events: int, accounts: int) -> None:
    """Fill a log with deposits."""
    clock = SystemClock()
    log = await Log.open(SqliteStore(str(path)), clock)
    new = [
        NewEvent(clock.new_id(), "Deposited", 1, tagger(bank.Deposited)(event), encode(event))
        for event in bank.history(events, accounts)
    ]
    await log.append(new)
    await log.close()


@contextmanager
def _loading(folder: Path, most: int) -> Iterator[Trial]:
    path = folder / "log.db"
    asyncio.run(_record(path, bank.LONG, accounts=1))

    async def scenario(turns: Turns) -> Sample:
        log = await Log.open(SqliteStore(str(path)), SystemClock())
        fold = fold_of(bank.Account)
        turns.begin()
        for _ in turns:
            states = States(log)
            cell = states.find(fold, bank.account_name(0))
            await states.load(cell)
            assert cell.position == bank.LONG
        sample = turns.end()
        await log.close()
        return sample

    yield lambda turns: asyncio.run(scenario(turns))


@contextmanager
def _catching_up(folder: Path, most: int) -> Iterator[Trial]:
    """Record the events once; each trial fills an empty view from them."""
    asyncio.run(_record(folder / "log.db", most, bank.ACCOUNTS))
    numbers = count()

    async def scenario(turns: Turns) -> Sample:
        views = f"sqlite:///{folder / f'views-{next(numbers)}.db'}"
        turns.begin()
        async with bank.bank.run(Settings(log=settings(folder).log, views=views)) as running:
            last = Receipt("bank", turns.most)
            await running.ask(bank.BalanceOf(account=bank.account_name(0)), after=last, timeout_seconds=120)
            return turns.sample(turns.most)

    yield lambda turns: asyncio.run(scenario(turns))
