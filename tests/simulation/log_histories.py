"""Random histories of what is done with a log's store, and what it answers: whichever store it is, that is the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import msgspec
from hypothesis import strategies as st

from tests.log import hostile_appends as hostile
from twofold.errors import TwofoldError, ValueRefused
from twofold.log import (
    ALL,
    Append,
    Condition,
    Conflict,
    Criteria,
    Criterion,
    LogStore,
    NewEvent,
    Outcome,
    ProcessedId,
    RecordedEvent,
    Snapshot,
)
from twofold.messages import encode
from twofold.simulation.chance import Chance
from twofold.simulation.disks import LogDisk
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.log_store import SimulatedLogStore
from twofold.simulation.wire import Wire

Stores: TypeAlias = Callable[[], LogStore]
Step: TypeAlias = tuple[str, int, tuple[Any, ...]]
"""What is done, by which of the two who have the log open, and with what."""

TIME_US = 1_700_000_000_000_000

types = st.sampled_from(["Opened", "Closed", "Ä.B"])
tags = st.lists(st.sampled_from(["x:1", "x:2", "y:1", "y:\0"]), max_size=2).map(tuple)
ids = st.sampled_from(["", "", "first", "second", "third", "x" * 3000])
events = st.builds(
    NewEvent, st.uuids().map(str), types, st.just(1), tags, st.sampled_from([b"{}", b'{"a":"\xc3\xa4"}'])
)
criteria: st.SearchStrategy[Criteria] = st.just(ALL) | st.lists(
    st.builds(Criterion, st.lists(types, max_size=2).map(tuple), tags), min_size=1, max_size=2
).map(tuple)
back = st.integers(-1, 6) | st.just(0)
"""How far something is before the end of the log."""
limits = st.sampled_from([0, 1, 2, 5, 1000])


@st.composite
def batches(draw: st.DrawFn) -> list[Append]:
    """Draw appends, each on conditions whose positions are yet how far they are before the end of the log."""
    found: list[Append] = []
    for place in range(draw(st.integers(1, 5))):
        behind = st.none() if place == 0 else st.none() | st.integers(0, place - 1)
        conditions = draw(st.lists(st.builds(Condition, criteria, st.integers(0, 3), behind), max_size=2).map(tuple))
        found.append(
            Append(draw(st.lists(events, max_size=3).map(tuple)), conditions, draw(ids), draw(st.binary(max_size=1)))
        )
    return found


def _steps(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.integers(0, 1), st.tuples(*values))


histories: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        _steps("write", batches()),
        _steps("write", batches()),
        _steps("write", st.lists(hostile.appends, min_size=1, max_size=2)),
        _steps("read", criteria, back, limits, st.booleans()),
        _steps("history", criteria, back, limits),
        _steps("types", st.integers(1, 4)),
        _steps("processed", ids | hostile.texts),
        _steps("read_processed", back, back, st.sampled_from(["", "first", "second"]), limits),
        _steps("restore", back, st.integers(0, 4), st.sampled_from(["", "", "id", "gap", "id of an append"])),
        _steps(
            "save_snapshot", st.sampled_from(["Account", "Ä"]), st.sampled_from(["ann", "nul:\0"]), back, st.binary()
        ),
        _steps("load_snapshot", st.sampled_from(["Account", "Ä"]), st.sampled_from(["ann", "nul:\0", "none"])),
    ),
    min_size=10,
    max_size=40,
)


async def answers(stores: Stores, history: Sequence[Step]) -> list[object]:
    """Return what two answer who have a log open, step by step, and what is in it then."""
    users = [User(stores()), User(stores())]
    try:
        for user in users:
            await user.log.open()
        found = [await users[who].answer(name, *values) for name, who, values in history]
        return [*found, *await users[0].all(), *await users[1].all()]
    finally:
        for user in users:
            await user.log.close()


class User:
    """Does steps with a store. Errors are answers as well."""

    def __init__(self, log: LogStore) -> None:
        self.log = log

    async def answer(self, name: str, *values: Any) -> object:
        """Do a step, and return what is answered."""
        does: Callable[..., Awaitable[object]] = getattr(self, name)
        try:
            return await does(*values)
        except ValueRefused:
            # What it does not take, and why, is said in each database's words.
            return ValueRefused.__name__
        except TwofoldError as error:
            return repr(error)

    async def all(self) -> list[object]:
        """Return all that can be read."""
        ids = await self.log.read_processed(0, 1000)
        return [await self.log.head(), await self.log.read(ALL), await self.log.history(ALL), ids]

    async def _position(self, back: int) -> int:
        return max(0, await self.log.head() - back)

    async def write(self, batch: Sequence[Append]) -> list[Outcome]:
        """Append, on conditions near the end of the log. Which event stands against one, is for the database to say."""
        head = await self.log.head()
        outcomes = await self.log.write([_near(each, head) for each in batch], TIME_US + head)
        return [Conflict() if isinstance(each, Conflict) else each for each in outcomes]

    async def read(self, criteria: Criteria, back: int, limit: int, backwards: bool) -> object:
        return await self.log.read(criteria, await self._position(back), limit, backwards=backwards)

    async def history(self, criteria: Criteria, back: int, limit: int) -> object:
        return await self.log.history(criteria, await self._position(back), limit)

    async def types(self, most: int) -> object:
        return await self.log.types(most)

    async def processed(self, append_id: str) -> object:
        return await self.log.processed(append_id)

    async def read_processed(self, since: int, until: int, after: str, limit: int) -> object:
        return await self.log.read_processed(await self._position(since), await self._position(until), after, limit)

    async def restore(self, back: int, count: int, spoilt: str) -> None:
        """Restore what is there already and what would follow; ``spoilt`` says what is another than it would have to be."""
        head = await self.log.head()
        there = await self.log.read(ALL, max(0, head - back))
        first = head + (2 if spoilt == "gap" else 1)
        new = [_restored(position) for position in range(first, first + count)]
        if spoilt == "id" and there:
            there[-1] = msgspec.structs.replace(there[-1], id="another")
        ids = await self.log.read_processed(0, head)
        if spoilt == "id of an append":
            ids = [msgspec.structs.replace(each, last=each.last + 1) for each in ids]
        await self.log.restore([*([] if spoilt == "gap" else there), *new], [*ids, ProcessedId(f"to {head}", 1, head)])

    async def save_snapshot(self, fold: str, key: str, back: int, data: bytes) -> None:
        await self.log.snapshots.save_snapshot(fold, key, Snapshot(await self._position(back), data))

    async def load_snapshot(self, fold: str, key: str) -> object:
        return await self.log.snapshots.load_snapshot(fold, key)


def _near(append: Append, head: int) -> Append:
    conditions = [
        each if type(each.after) is not int else msgspec.structs.replace(each, after=max(0, head - each.after))
        for each in append.conditions
    ]
    return msgspec.structs.replace(append, conditions=tuple(conditions))


def _restored(position: int) -> RecordedEvent:
    type_, tags = ("Opened", ("x:1",)) if position % 2 else ("Closed", ("x:2", "y:1"))
    return RecordedEvent(position, f"restored {position}", type_, 1, encode(tags), b"{}", b"{}", TIME_US + position)


def simulated() -> Stores:
    """Return what opens the log of a simulation in which nothing goes wrong."""
    disk, mishaps = LogDisk(), Mishaps(Chance(1, "histories"), Faults())
    return lambda: SimulatedLogStore(disk, Wire(mishaps))
