"""Twofold's log alone: conditional appends of events that are made and encoded on the spot, and nothing decided."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from bench import bank
from bench.clients import as_tasks, in_processes
from bench.model import Contender, Home, Place, Prepare, Sample, Turns, fresh
from twofold.clock import SystemClock
from twofold.log import Appended, Criterion, Guard, Log, NewEvent
from twofold.messages import encode, tagger
from twofold.service.adapters import open_log


def contender(home: Home) -> Contender:
    """Return the log as a contender."""
    trials = {
        "sequence": _appending(clients=1),
        "clients64": _appending(clients=64),
        "clients1024": _appending(clients=1024),
        "processes2": fresh(_appending_in_processes),
        "batches": fresh(_batches),
    }
    remarks = "Conditional appends, each answered once it is on disk. Nothing is decided."
    return Contender("Twofold's log", home.durability, remarks, trials)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Log]:
    """Open the log at a URL for a block."""
    clock = SystemClock()
    log = await Log.open(open_log(url, clock), clock)
    try:
        yield log
    finally:
        await log.close()


class Accounts:
    """Deposits into accounts, each on condition that nobody else has made one since the last that is known."""

    def __init__(self, log: Log, known: int = 0) -> None:
        self._log = log
        self._clock = SystemClock()
        self._last: defaultdict[int, int] = defaultdict(lambda: known)

    async def deposit(self, account: int, turn: int, times: int = 1) -> None:
        """Append deposits, which nobody else makes here."""
        event = bank.deposited(bank.account_name(account), 1 + turn % 500, bank.reference(turn))
        tags = tagger(bank.Deposited)(event)
        guard = Guard((Criterion(("Deposited",), tags),), self._last[account])
        events = [NewEvent(self._clock.new_id(), "Deposited", 1, tags, encode(event)) for _ in range(times)]
        outcome = await self._log.append(events, guard)
        assert isinstance(outcome, Appended)
        self._last[account] = outcome.last


def _appending(clients: int) -> Prepare:
    """Have each client append to an account of its own."""
    return fresh(lambda place, turns: _append(place.log, range(clients), turns))


def _appending_in_processes(place: Place, turns: Turns) -> Sample:
    return in_processes(turns, [partial(_append, place.log, clients) for clients in bank.HALVES])


def _append(url: str, clients: range, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        async with opened(url) as log:
            return await as_tasks(turns, clients, Accounts(log).deposit)

    return asyncio.run(scenario())


def _batches(place: Place, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        async with opened(place.log) as log:
            accounts = Accounts(log)
            turns.begin()
            for turn in turns:
                await accounts.deposit(turn, turn, times=100)
            return turns.end(100)

    return asyncio.run(scenario())
