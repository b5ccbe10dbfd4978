"""What the tests of deciding share: an account's commands handled on stores that others write to as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from examples.bank import Account, Deposited, transfer
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.commands import CommandHandler, decider_of, deciders_of
from twofold.errors import LogUnavailable
from twofold.log import Append, Log, LogStore, NewEvent, Outcome, RecordedEvent
from twofold.messages import Event, encode, tagger

CLOCK = SystemClock()
BANK = [*deciders_of(Account), decider_of(transfer)]


class HastyClock(SystemClock):
    """Does not sleep, so that what is tried again many times is over soon."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)


class SharedStore(MemoryStore):
    """A store that other processes write to, and that can fail: each at a chosen one of this process's commits."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.others: Callable[[int], Iterable[Event]] = lambda commit: ()
        self.fails: Callable[[int], bool] = lambda commit: False
        self._committing: list[asyncio.Future[None]] = []

    def committing(self) -> asyncio.Future[None]:
        """Return what is done when the next commit begins; nobody is answered then yet."""
        self._committing.append(asyncio.get_running_loop().create_future())
        return self._committing[-1]

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        self.commits += 1
        while self._committing:
            self._committing.pop().set_result(None)
        foreign = [new_event(event) for event in self.others(self.commits)]
        if foreign:
            await super().write([Append(tuple(foreign))], recorded_at_us)
        if self.fails(self.commits):
            raise LogUnavailable("The disk is full.")
        return await super().write(batch, recorded_at_us, **how)

    async def others_append(self, *events: Event) -> None:
        """Append as another process does."""
        await super().write([Append(tuple([new_event(event) for event in events]))], CLOCK.now_us())


def new_event(event: Event) -> NewEvent:
    """Return an event as the log takes it."""
    kind = type(event)
    return NewEvent(CLOCK.new_id(), kind.message_name, kind.message_version, tagger(kind)(event), encode(event))


@asynccontextmanager
async def handling(
    store: LogStore, deciders: Iterable[Any] = BANK, clock: SystemClock = CLOCK
) -> AsyncIterator[tuple[CommandHandler, Log]]:
    """Give a handler, as one process has, and the log that it appends to."""
    log = await Log.open(store, clock)
    handler = CommandHandler(log, deciders, clock)
    try:
        yield handler, log
    finally:
        await handler.states.close()
        await log.close()


async def history(log: Log) -> list[RecordedEvent]:
    """Return all events."""
    return await log.read(limit=100_000)


async def balance(log: Log, account: str) -> int:
    """Fold an account's balance from all events, without any of what is tested."""
    total = 0
    for event in await history(log):
        data: dict[str, Any] = msgspec.json.decode(event.data)
        match event.type:
            case "Deposited" if data["account"] == account:
                total += data["amount"]
            case "Withdrawn" if data["account"] == account:
                total -= data["amount"]
            case "Transferred":
                total += data["amount"] * ((data["target"] == account) - (data["source"] == account))
    return total


def deposited(amount: int, account: str = "ann") -> Deposited:
    """Return what others have paid in."""
    return Deposited(account=account, amount=amount)
