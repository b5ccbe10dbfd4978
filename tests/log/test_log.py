"""The queue in front of a store, where the store fails, is slow or goes back."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.errors import LogCorrupted, LogError, LogUnavailable
from twofold.limits import LogLimits
from twofold.log import ALL, Append, Appended, Conflict, Criterion, Guard, Log, NewEvent, Outcome, Ticket

X1 = (Criterion(tags=("x:1",)),)


def event(type_: str = "A", *tags: str) -> NewEvent:
    return NewEvent("an-id", type_, 1, tags, b"{}")


class LogStore(MemoryStore):
    """A log in memory that a test may stop, make fail and take back."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Sequence[Append]] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.lost = 0
        self.closed = 0

    async def open(self, *, read_only: bool = False) -> None:
        if self.error:
            raise self.error

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        self.batches.append(batch)
        self.entered.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        return await super().write(batch, recorded_at_us, **how)

    async def head(self) -> int:
        if self.error:
            raise self.error
        return await super().head() - self.lost

    async def close(self) -> None:
        self.closed += 1


def run(
    scenario: Callable[[Log, LogStore], Awaitable[None]],
    kind: type[LogStore] = LogStore,
    limits: LogLimits = LogLimits(),
) -> None:
    async def whole() -> None:
        store = kind()
        log = await Log.open(store, SystemClock(), limits)
        try:
            await scenario(log, store)
        finally:
            await log.close()

    asyncio.run(whole())


async def error_of(ticket: Ticket) -> LogError:
    with pytest.raises(LogError) as caught:
        await ticket
    return caught.value


def test_whoever_comes_during_a_commit_shares_the_next_one() -> None:
    """Group commit: the first goes at once and alone, and all that came meanwhile go together."""

    async def scenario(log: Log, store: LogStore) -> None:
        store.gate.clear()
        first = log.submit([event()])
        await store.entered.wait()
        rest = [log.submit([event()]) for _ in range(30)]
        store.gate.set()
        assert [await ticket for ticket in [first, *rest]] == [Appended(n, n) for n in range(1, 32)]
        assert [len(batch) for batch in store.batches] == [1, 30]

    run(scenario)


def test_where_many_come_two_halves_take_turns() -> None:
    """While the batch of one half is being made durable, the other half is answered and goes on."""
    answered: list[int] = []

    class Telling(LogStore):
        async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
            outcomes = await super().write(batch, recorded_at_us, **how)
            answered.append(sum(client.done() for client in clients))
            return outcomes

    async def scenario() -> None:
        log = await Log.open(Telling(), SystemClock())
        clients.extend([asyncio.ensure_future(log.append([event()])) for _ in range(100)])
        assert await asyncio.gather(*clients) == [Appended(n, n) for n in range(1, 101)]
        assert answered == [0, 50]
        await log.close()

    clients: list[asyncio.Future[Outcome]] = []
    asyncio.run(scenario())


def test_who_is_done_is_answered_even_if_the_next_batch_is_held_up() -> None:
    """A store that says nothing, such as one that waits for another process's lock, holds up those in its batch only."""

    async def scenario(log: Log, store: LogStore) -> None:
        tickets = [log.submit([event()]) for _ in range(100)]
        await store.entered.wait()
        store.gate.clear()
        assert [await ticket for ticket in tickets[:50]] == [Appended(n, n) for n in range(1, 51)]
        assert len(store.batches) == 2
        store.gate.set()
        assert await tickets[-1] == Appended(100, 100)

    run(scenario)


def test_a_commit_is_not_endless_however_much_is_queued() -> None:
    """Who is first in the queue does not wait until the last one's events are stored, too."""

    async def scenario(log: Log, store: LogStore) -> None:
        tickets = [log.submit([event() for _ in range(1000)]) for _ in range(10)]
        assert [(await ticket) for ticket in tickets] == [Appended(n + 1, n + 1000) for n in range(0, 10_000, 1000)]
        assert [len(batch) for batch in store.batches] == [5, 5]

    run(scenario)


@pytest.mark.parametrize("error", [LogUnavailable("the disk is full"), RuntimeError("the disk is full")])
def test_a_store_that_fails_is_said_to_all_of_the_batch_and_to_nobody_else(error: Exception) -> None:
    """Each hears why, without the others' traces; what is queued behind it goes on as soon as the store does."""

    async def scenario(log: Log, store: LogStore) -> None:
        store.error = error
        tickets = [log.submit([event()]) for _ in range(3)]
        for ticket in tickets:
            assert "the disk is full" in str(await error_of(ticket))
        assert len({len(traceback.extract_tb((await error_of(ticket)).__traceback__)) for ticket in tickets}) == 1
        store.error = None
        assert await log.append([event()]) == Appended(1, 1)

    run(scenario)


def test_what_counts_on_a_failed_append_is_refused() -> None:
    """Nobody knows what became of the first; the second decides anew on what is there then."""

    async def scenario(log: Log, store: LogStore) -> None:
        store.error = LogUnavailable("the disk is full")
        first = log.submit([event("A", "x:1")])
        together = log.submit([event("A", "x:1")], Guard(X1, first))
        await error_of(first)
        await error_of(together)
        store.error = None
        assert await log.submit([event("A", "x:1")], Guard(X1, first)) == Conflict()
        assert len(store.batches) == 1, "what is refused beforehand needs no commit"

    run(scenario)


def test_a_place_in_another_log_s_queue_stands_for_nothing_here() -> None:
    """Positions of two logs have nothing to do with each other."""

    async def scenario(log: Log, store: LogStore) -> None:
        other = await Log.open(MemoryStore(), SystemClock())
        ticket = other.submit([event()])
        assert await log.submit([event()], Guard(ALL, ticket)) == Conflict()
        await other.close()

    run(scenario)


def test_an_interrupted_writer_leaves_nobody_waiting() -> None:
    """Those in the commit hear that it may have happened, those behind it that they did not; who comes next is served."""

    async def scenario(log: Log, store: LogStore) -> None:
        store.gate.clear()
        inside = log.submit([event()])
        await store.entered.wait()
        behind = log.submit([event()])
        assert log._commits._writer is not None
        log._commits._writer.cancel()
        assert "may have been stored" in str(await error_of(inside))
        assert "nothing was appended" in str(await error_of(behind))
        store.gate.set()
        assert await log.append([event()]) == Appended(1, 1)

    run(scenario)


def test_a_store_that_cannot_be_opened_is_closed() -> None:
    """Whoever gets no log has nothing that could be closed."""

    async def scenario() -> None:
        store = LogStore()
        store.error = LogUnavailable("nobody listens at that address")
        with pytest.raises(LogUnavailable, match="nobody listens"):
            await Log.open(store, SystemClock())
        assert store.closed == 1

    asyncio.run(scenario())


# Following.


def test_a_follower_sits_out_a_store_that_is_away() -> None:
    """It goes on where it was when the store is back."""

    async def scenario(log: Log, store: LogStore) -> None:
        batches = log.follow()
        store.error = LogUnavailable("restarting")
        waiting = asyncio.ensure_future(anext(batches))
        with pytest.raises(LogUnavailable, match="restarting"):
            await log.head()
        store.error = None
        await MemoryStore.write(store, [Append((event(),))], 0)
        assert (await asyncio.wait_for(waiting, 60)).position == 1

    run(scenario)


def test_a_follower_hears_of_an_error_that_will_not_pass() -> None:
    """Better than to wait for ever; and asking again works as soon as the store does."""

    async def scenario(log: Log, store: LogStore) -> None:
        store.error = RuntimeError("a bug in an adapter")
        with pytest.raises(RuntimeError, match="a bug in an adapter"):
            await asyncio.wait_for(log.advanced_past(0), 60)
        store.error = None
        waiting = asyncio.ensure_future(log.advanced_past(0))
        await MemoryStore.write(store, [Append((event(),))], 0)
        await asyncio.wait_for(waiting, 60)

    run(scenario)


def test_a_log_that_goes_back_is_not_followed() -> None:
    """A database from a backup under a running service: a follower would skip what comes up to its old position."""

    async def scenario(log: Log, store: LogStore) -> None:
        for _ in range(10):
            await log.append([event()])
        waiting = asyncio.ensure_future(log.advanced_past(10))
        store.lost = 4
        with pytest.raises(
            LogCorrupted, match=r"ended at position 10, and now it ends at 6: its database was replaced"
        ):
            await asyncio.wait_for(waiting, 60)

    run(scenario)


def test_whoever_waits_when_the_log_is_closed_is_told() -> None:
    """It is neither cancelled, as nobody cancelled it, nor left waiting; and so is who comes later."""

    async def scenario(log: Log, store: LogStore) -> None:
        waiting = [asyncio.ensure_future(log.advanced_past(0)), asyncio.ensure_future(anext(log.follow()))]
        await asyncio.sleep(0)
        await log.close()
        for each in waiting:
            with pytest.raises(LogUnavailable, match="closed in this process"):
                await each
        with pytest.raises(LogUnavailable, match="closed in this process"):
            await log.advanced_past(0)

    run(scenario)


def test_who_stops_waiting_leaves_nothing_behind() -> None:
    """A process that answers long polls for years does not fill up with those that went away."""

    async def scenario(log: Log, store: LogStore) -> None:
        for _ in range(100):
            waiting = asyncio.ensure_future(log.advanced_past(0))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert log._head._waiting == []

    run(scenario)
