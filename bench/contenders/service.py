"""Twofold as a user has it: commands sent to a service, queries asked of it, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench import bank
from bench.clients import as_tasks, in_processes
from bench.contenders.log import opened
from bench.model import Contender, Home, Place, Prepare, Sample, Trial, Turns, fresh
from twofold import Receipt
from twofold.clock import SystemClock
from twofold.commands.states import StateCache
from twofold.folding import fold_of
from twofold.log import NewEvent
from twofold.messages import encode, tagger
from twofold.service.settings import Settings

_REMARKS = (
    "A command is answered once its events are on disk. Rows and checkpoint of a view share a commit; a file of views may "
    "lose its last commits (SQLite, synchronous=NORMAL), which are then made again from the log."
)


def contenders(home: Home) -> tuple[Contender, ...]:
    """Return Twofold, and Twofold doing on distinct aggregates what the others do on one."""
    trials = {
        "sequence": _deciding(clients=1, accounts=1),
        "clients64": _deciding(clients=64, accounts=64),
        "clients1024": _deciding(clients=1024, accounts=1024),
        "processes2": fresh(_deciding_in_processes),
        "hot": _deciding(clients=16, accounts=1),
        "batches": fresh(_batches),
        "loading": _loading,
        "catchup": _catching_up,
        "visible": fresh(_visible),
    }
    spread = {"hot": _deciding(clients=16, accounts=16)}
    return Contender("Twofold", home.durability, _REMARKS, trials), Contender(
        "Twofold, 16 aggregates", home.durability, trials=spread
    )


def _settings(place: Place) -> Settings:
    return Settings(log=place.log, views=place.views)


def _deciding(clients: int, accounts: int) -> Prepare:
    """Have the clients send deposits, each its own again and again, spread over so many accounts."""
    return fresh(lambda place, turns: _decide(_settings(place), range(clients), accounts, turns))


def _deciding_in_processes(place: Place, turns: Turns) -> Sample:
    return in_processes(turns, [partial(_decide, _settings(place), clients, 1024) for clients in bank.HALVES])


def _decide(settings: Settings, clients: range, accounts: int, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        commands = {client: bank.deposit(client % accounts, client) for client in clients}
        async with bank.deciding.run(settings) as running:
            return await as_tasks(turns, clients, lambda client, turn: running.send(commands[client]))

    return asyncio.run(scenario())


def _batches(place: Place, turns: Turns) -> Sample:
    amounts = list(range(1, 101))

    async def scenario() -> Sample:
        async with bank.deciding.run(_settings(place)) as running:
            turns.begin()
            for turn in turns:
                await running.send(
                    bank.DepositMany(
                        account=bank.account_name(turn), amounts=amounts, currency="GBP", reference=bank.reference(turn)
                    )
                )
            return turns.end(len(amounts))

    return asyncio.run(scenario())


def _visible(place: Place, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        async with bank.bank.run(_settings(place)) as running:
            turns.begin()
            for turn in turns:
                command = bank.deposit(turn % bank.ACCOUNTS, turn)
                receipt = await running.send(command)
                await running.ask(bank.BalanceOf(account=command.account), after=receipt)
            return turns.end()

    return asyncio.run(scenario())


async def _record(url: str, events: int, accounts: int) -> None:
    """Fill a log with deposits."""
    clock = SystemClock()
    new = [
        NewEvent(clock.new_id(), "Deposited", 1, tagger(bank.Deposited)(event), encode(event))
        for event in bank.history(events, accounts)
    ]
    async with opened(url) as log:
        await log.append(new)


@contextmanager
def _loading(home: Home, most: int) -> Iterator[Trial]:
    with home.place() as place:
        asyncio.run(_record(place.log, bank.LONG, accounts=1))
        yield lambda turns: _load(place, turns)


def _load(place: Place, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        fold = fold_of(bank.Account)
        async with opened(place.log) as log:
            turns.begin()
            for _ in turns:
                states = StateCache(log)
                cached = states.find(fold, bank.account_name(0))
                await states.load(cached)
                assert cached.known.position == bank.LONG
            return turns.end()

    return asyncio.run(scenario())


@contextmanager
def _catching_up(home: Home, most: int) -> Iterator[Trial]:
    """Record the events once; each trial fills an empty view from them."""

    def trial(turns: Turns) -> Sample:
        with home.place() as empty:
            return _catch_up(Settings(log=place.log, views=empty.views), turns)

    with home.place() as place:
        asyncio.run(_record(place.log, most, bank.ACCOUNTS))
        yield trial


def _catch_up(settings: Settings, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        turns.begin()
        async with bank.bank.run(settings) as running:
            last = Receipt("bank", turns.most)
            await running.ask(bank.BalanceOf(account=bank.account_name(0)), after=last, timeout_seconds=120)
            return turns.sample(turns.most)

    return asyncio.run(scenario())
