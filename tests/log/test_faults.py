"""What the queue does about appends that a store refuses, stores that break their contract, and stores that hang."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.log.test_log import X1, LogStore, error_of, event, run
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.errors import LogCorrupted, LogUnavailable, ValueRefused
from twofold.limits import LogLimits
from twofold.log import Append, Appended, Conflict, Guard, Log, NewEvent, Outcome


class Refusing(LogStore):
    """A database that does not take a batch with an event of the type Bad."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        outcomes = [] if _has_bad(batch) else await super().write(batch, recorded_at_us, **how)
        if not outcomes:
            self.batches.append(batch)
            await self.gate.wait()
            raise ValueRefused("it has a value that is not taken")
        return outcomes


def _has_bad(batch: Sequence[Append]) -> bool:
    return any(each.type == "Bad" for append in batch for each in append.events)


@pytest.mark.parametrize("bad", [[0], [13], [39], [7, 8], [0, 20, 39], [*range(40)]])
def test_an_append_that_the_database_refuses_fails_alone(bad: list[int]) -> None:
    """Its neighbours are stored, in their order; what counts on it conflicts, and so does what counts on that."""

    async def scenario(log: Log, store: LogStore) -> None:
        store.gate.clear()
        first = log.submit([event()])
        await store.entered.wait()
        tickets = [log.submit([event("Bad" if n in bad else "Good", f"x:{n}")]) for n in range(40)]
        children = [log.submit([event("Child")], Guard(X1, ticket)) for ticket in tickets]
        grandchildren = [log.submit([event("Child")], Guard(X1, ticket)) for ticket in children]
        store.gate.set()
        assert await first == Appended(1, 1)
        good = [n for n in range(40) if n not in bad]
        for n in bad:
            assert "not taken" in str(await error_of(tickets[n]))
            assert isinstance(await children[n], Conflict)
            assert isinstance(await grandchildren[n], Conflict)
        last = 1
        for n in good:
            last += 1
            assert await tickets[n] == Appended(last, last)
        assert [e.tags for e in await log.read() if e.type == "Good"] == [(f"x:{n}",) for n in good]
        assert len(store.batches) < 10 + 16 * len(bad), "the cost of looking for it has a bound"

    run(scenario, Refusing)


class RefusingAndAway(Refusing):
    """It is away, too, when it is first given what it would take."""

    has_failed = False

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        if not self.has_failed and not _has_bad(batch):
            self.has_failed = True
            raise LogUnavailable("no route to it")
        return await super().write(batch, recorded_at_us, **how)


def test_what_succeeds_a_lost_append_is_not_stored_by_another_part_of_its_batch() -> None:
    """A batch is divided to find what is refused; when the first part fails then, the second must not overtake it."""

    async def scenario(log: Log, store: LogStore) -> None:
        tickets = [log.submit([event()])]
        for kind in ("Good", "Bad", "Good"):
            tickets.append(log.submit([event(kind)], succeeds=tickets[-1]))
        for lost in tickets[:2]:
            assert "no route to it" in str(await error_of(lost))
        for behind in tickets[2:]:
            assert isinstance(await behind, Conflict)
        assert await log.read() == []

    run(scenario, RefusingAndAway)


def test_an_outage_fails_all_and_is_not_tried_again() -> None:
    """Whether something was stored is not known then, so nobody but the caller may try again."""

    async def scenario(log: Log, store: LogStore) -> None:
        store.gate.clear()
        tickets = [log.submit([event()]) for _ in range(9)]
        await store.entered.wait()
        store.error = LogUnavailable("no route to it")
        store.gate.set()
        for ticket in tickets:
            assert "no route to it" in str(await error_of(ticket))
        assert len(store.batches) == 1

    run(scenario)


class Answering(LogStore):
    """A store whose adapter makes something else of the outcomes."""

    answered: Callable[[list[Outcome]], Any] = list

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        answer: list[Outcome] = self.answered(await super().write(batch, recorded_at_us, **how))
        return answer


@pytest.mark.parametrize(
    "answered",
    [
        lambda outcomes: outcomes[:-1],
        lambda outcomes: [*outcomes, *outcomes],
        lambda _: [],
        lambda outcomes: [None] * len(outcomes),
        lambda outcomes: [None, *outcomes[1:]],
        lambda _: None,
        len,
    ],
)
def test_a_store_that_breaks_its_contract_leaves_nobody_waiting(answered: Any) -> None:
    """All of the batch hear that it is not known what became of them, and who comes next is served."""

    async def scenario(log: Log, store: LogStore) -> None:
        assert isinstance(store, Answering)
        store.answered = answered
        tickets = [log.submit([event()]) for _ in range(5)]
        for ticket in tickets:
            assert "not known" in str(await asyncio.wait_for(error_of(ticket), 60))
        store.answered = list
        assert isinstance(await log.append([event()]), Appended)

    run(scenario, Answering)


def test_a_guard_that_is_none_is_refused_to_its_caller_alone() -> None:
    """Nothing of it is queued, and what is queued before and after it is stored."""
    none: Any = None

    async def scenario(log: Log, store: LogStore) -> None:
        before = log.submit([event()])
        with pytest.raises(ValueRefused, match="A guard is a Guard, and not None"):
            log.submit([event()], Guard(X1, 0), none)
        after = log.submit([event()])
        assert [await before, await after] == [Appended(1, 1), Appended(2, 2)]

    run(scenario)


def test_a_fault_in_the_log_itself_leaves_nobody_waiting() -> None:
    """Those whom it meets hear of it, and the writer goes on with the others."""

    class Clock(SystemClock):
        broken = True

        def now_us(self) -> int:
            if self.broken:
                raise RuntimeError("no time")
            return super().now_us()

    async def scenario() -> None:
        clock = Clock()
        log = await Log.open(MemoryStore(), clock)
        error = await asyncio.wait_for(error_of(log.submit([event()])), 60)
        assert isinstance(error, LogUnavailable)
        assert "no time" in str(error)
        clock.broken = False
        assert await log.append([event()]) == Appended(1, 1)
        await log.close()

    asyncio.run(scenario())


def test_a_commit_has_a_bound_in_bytes() -> None:
    """A small append waits for the large ones before it, and for none that came after."""
    large = NewEvent("large", "A", 1, (), b" " * (3 << 20))
    huge = NewEvent("huge", "A", 1, (), b" " * (10 << 20))

    async def scenario(log: Log, store: LogStore) -> None:
        store.gate.clear()
        tickets = [log.submit([event()])]
        await store.entered.wait()
        tickets += [log.submit([each]) for each in (large, event(), large, huge, huge, event(), event())]
        store.gate.set()
        assert [await ticket for ticket in tickets] == [Appended(n, n) for n in range(1, 9)]
        assert [len(batch) for batch in store.batches] == [1, 2, 1, 1, 1, 2]

    run(scenario)


# Ends.


class Hanging(LogStore):
    """A store that answers nothing any more, and does not mind being cancelled."""

    async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
        self.entered.set()
        await self._stuck()
        return await super().write(batch, recorded_at_us, **how)

    async def close(self) -> None:
        self.closed += 1
        await self._stuck()

    async def _stuck(self) -> None:
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                continue


def test_closing_waits_for_no_store_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever is queued is told, what comes later is refused, and the process can end."""
    impatient = LogLimits(closing_seconds=0.05, releasing_seconds=0.05)

    async def scenario(log: Log, store: LogStore) -> None:
        store.gate.clear()
        inside = log.submit([event()])
        await store.entered.wait()
        behind = log.submit([event()])
        waiting = asyncio.ensure_future(log.advanced_past(0))
        await asyncio.sleep(0)
        with caplog.at_level(logging.WARNING):
            await asyncio.wait_for(log.close(), 60)
        assert "did not close within 0.05 s" in caplog.text
        assert "may have been stored" in str(await asyncio.wait_for(error_of(inside), 60))
        assert "nothing was appended" in str(await asyncio.wait_for(error_of(behind), 60))
        with pytest.raises(LogUnavailable, match="closed in this process"):
            await waiting
        with pytest.raises(LogUnavailable, match="closing"):
            log.submit([event()])
        store.gate.set()

    run(scenario, Hanging, impatient)


def test_what_is_queued_is_committed_before_the_end() -> None:
    """Closing is no interruption, as long as the store answers."""

    async def scenario(log: Log, store: LogStore) -> None:
        tickets = [log.submit([event()]) for _ in range(9000)]
        await log.close()
        assert [await ticket for ticket in tickets] == [Appended(n, n) for n in range(1, 9001)]

    run(scenario)


def test_whoever_waits_hears_of_an_interrupted_watcher() -> None:
    """Nobody looks for them any more; asking again has somebody look again."""

    async def scenario(log: Log, store: LogStore) -> None:
        waiting = asyncio.ensure_future(log.advanced_past(0))
        await asyncio.sleep(0)
        assert log._head._watcher is not None
        await asyncio.sleep(0)
        log._head._watcher.cancel()
        with pytest.raises(LogUnavailable):
            await asyncio.wait_for(waiting, 60)
        again = asyncio.ensure_future(log.advanced_past(0))
        await MemoryStore.write(store, [Append((event(),))], 0)
        await asyncio.wait_for(again, 60)

    run(scenario)


def test_an_answer_of_the_wrong_length_is_a_corruption() -> None:
    """It is the store that is wrong, and neither the caller nor the network."""

    async def scenario(log: Log, store: LogStore) -> None:
        assert isinstance(store, Answering)
        store.answered = lambda outcomes: outcomes[:-1]
        error = await error_of(log.submit([event()]))
        assert isinstance(error, LogCorrupted)
        assert "answered 1 appends with 0 outcomes" in str(error)

    run(scenario, Answering)
