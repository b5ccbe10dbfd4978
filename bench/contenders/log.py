"""Twofold's log alone: conditional appends of events that are made and encoded on the spot, and nothing decided."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

from bench import bank
from bench.clients import as_tasks
from bench.model import Contender, Prepare, Sample, Turns, fresh
from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.log import Appended, Criterion, Guard, Log, NewEvent
from twofold.messages import encode, tagger


def contender() -> Contender:
    """Return the log as a contender."""
    trials = {
        "sequence": _appending(clients=1),
        "clients64": _appending(clients=64),
        "clients1024": _appending(clients=1024),
        "batches": fresh(_batches),
    }
    remarks = "Conditional appends, each answered once it is on disk. Nothing is decided."
    return Contender("Twofold's log", "disk (WAL, FULL)", remarks, trials)


def _appending(clients: int) -> Prepare:
    """Have each client append to an account of its own, on condition that nobody else has."""

    async def scenario(folder: Path, turns: Turns) -> Sample:
        clock = SystemClock()
        log = await Log.open(SqliteStore(str(folder / "log.db")), clock)
        last: defaultdict[int, int] = defaultdict(int)

        async def append(client: int, turn: int) -> None:
            event = bank.deposited(bank.account_name(client), 1 + turn % 500, bank.reference(turn))
            tags = tagger(bank.Deposited)(event)
            guard = Guard((Criterion(("Deposited",), tags),), last[client])
            outcome = await log.append([NewEvent(clock.new_id(), "Deposited", 1, tags, encode(event))], guard)
            assert isinstance(outcome, Appended)
            last[client] = outcome.last

        sample = await as_tasks(turns, clients, append)
        await log.close()
        return sample

    return fresh(lambda folder, turns: asyncio.run(scenario(folder, turns)))


def _batches(folder: Path, turns: Turns) -> Sample:
    async def scenario() -> Sample:
        clock = SystemClock()
        log = await Log.open(SqliteStore(str(folder / "log.db")), clock)
        turns.begin()
        for turn in turns:
            name = bank.account_name(turn)
            events = [bank.deposited(name, amount, bank.reference(turn)) for amount in range(1, 101)]
            tags = tagger(bank.Deposited)(events[0])
            new = [NewEvent(clock.new_id(), "Deposited", 1, tags, encode(event)) for event in events]
            await log.append(new, Guard((Criterion(("Deposited",), tags),), 0))
        sample = turns.end(100)
        await log.close()
        return sample

    return asyncio.run(scenario())
