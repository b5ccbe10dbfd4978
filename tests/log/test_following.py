"""A follower misses nothing, whatever happens while its read is under way."""

import asyncio
from typing import Any

import pytest

from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.log import ALL, Appended, Criteria, Guard, Log, RecordedEvent
from twofold.testing.log_scenarios import by_tag, by_type, event, follow, positions


class AnswersLate(MemoryStore):
    """Others append between its look at the events and its answer."""

    async def read(self, criteria: Criteria, after: int = 0, limit: int = 1000, **how: Any) -> list[RecordedEvent]:
        found = await super().read(criteria, after, limit, **how)
        for _ in range(5):
            await asyncio.sleep(0)
        return found


class CountsReads(MemoryStore):
    """Counts how often anybody reads."""

    reads = 0

    async def read(self, criteria: Criteria, after: int = 0, limit: int = 1000, **how: Any) -> list[RecordedEvent]:
        self.reads += 1
        return await super().read(criteria, after, limit, **how)


def test_what_this_process_has_just_written_is_not_read_back() -> None:
    """A follower that is up to date gets it as it would have read it, to the microsecond."""

    async def scenario() -> None:
        store = CountsReads()
        log = await Log.open(store, SystemClock())
        batches = log.follow(by_type("A"))
        seen: list[RecordedEvent] = []
        for _ in range(10):
            coming = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0)
            appended = [event("A", "x:1", data=b"1"), event("B"), event("A", "y:2", "x:1", metadata=b'{"actor":"ann"}')]
            assert await log.append(appended, Guard(ALL, log.known_head)) == Appended(
                len(seen) // 2 * 3 + 1, log.known_head
            )
            seen += (await coming).events
        assert store.reads == 0
        assert seen == await log.read(by_type("A"))
        await log.close()

    asyncio.run(scenario())


def test_who_is_behind_is_given_all_of_it() -> None:
    """What this process wrote last may be followed by what another did, or be preceded by more of its own."""

    async def scenario() -> None:
        store = MemoryStore()
        log, other = [await Log.open(store, SystemClock()) for _ in range(2)]
        await log.append([event("A"), event("A")])
        await other.append([event("A")])
        assert await log.head() == 3
        assert await follow(log, by_type("A"), 3) == [1, 2, 3]
        await log.append([event("A")])
        await log.append([event("A")])
        assert await follow(log, by_type("A"), 5) == [1, 2, 3, 4, 5]
        assert await follow(log, by_type("A"), 5, after=3) == [4, 5]
        await log.close()
        await other.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_what_others_write_in_between_is_read(limit: int) -> None:
    """Whoever writes, and however many append at once or in vain: both processes' followers see all of it, in order."""

    async def scenario() -> None:
        store = MemoryStore()
        logs = [await Log.open(store, SystemClock()) for _ in range(2)]
        following = asyncio.gather(*[follow(log, by_type("A"), 450, limit=limit) for log in logs])
        for n in range(300):
            log = logs[n // 3 % 2]
            vain = log.submit([event("A")], Guard(ALL, 0)) if n else log.submit([])
            await asyncio.gather(log.append([event("A")]), log.append([event("B")], id=f"B-{n // 2}"), vain)
        expected = positions(await logs[0].read(by_type("A")))
        assert await following == [expected, expected]
        for log in logs:
            await log.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_what_is_appended_during_a_read_comes_with_the_next_one(limit: int) -> None:
    """The head that a filtered follower moves on to is one that was known before it looked."""

    async def scenario() -> None:
        log = await Log.open(AnswersLate(), SystemClock())
        asked = (by_tag("x:1"), by_type("A"), by_tag("x:2", types=["B"]))
        following = asyncio.gather(*[follow(log, criteria, 200, limit=limit) for criteria in asked])
        for n in range(200):
            await log.append([event("AB"[n % 2], f"x:{n % 3}")])
        for criteria, seen in zip(asked, await following, strict=True):
            assert seen == positions(await log.read(criteria))
        await log.close()

    asyncio.run(scenario())
