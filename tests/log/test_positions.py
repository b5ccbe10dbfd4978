"""What a log checks of the positions that its store gives: an adapter that is wrong is found before anybody goes by it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.errors import LogCorrupted
from twofold.log import ALL, Append, Appended, Criterion, Log, NewEvent, Outcome

SOME = (Criterion(types=("A",)),)


def event() -> NewEvent:
    return NewEvent("id", "A", 1, ("a:1",), b"{}")


class Wrong(MemoryStore):
    """A store that does something else to what it gives."""

    twist: Callable[[list[Any]], list[Any]] = staticmethod(lambda found: found)

    async def read(self, *arguments: Any, **how: Any) -> list[Any]:
        # A history is made of what is read.
        return self.twist(await super().read(*arguments, **how))


async def five(store: MemoryStore) -> Log:
    log = await Log.open(store, SystemClock())
    await log.append([event() for _ in range(5)])
    return log


CHANGES = {
    "out of order": lambda found: [found[1], found[0], *found[2:]],
    "one twice": lambda found: [*found[:-1], found[-2]],
    "all of them": lambda found: [*found, *found],
}


@pytest.mark.parametrize("twist", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_events_that_are_read_are_in_order(twist: Any, backwards: bool) -> None:
    """A follower takes its next position from the last event: one that comes late or twice would be lost or doubled."""

    async def scenario() -> None:
        store = Wrong()
        log = await five(store)
        assert len(await log.read(SOME, backwards=backwards)) == 5
        store.twist = twist
        with pytest.raises(LogCorrupted, match="LogConformance"):
            await log.read(SOME, backwards=backwards)
        await log.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("criteria", [SOME, ALL], ids=["some", "all"])
@pytest.mark.parametrize("after", [3, 9])
def test_events_that_are_read_are_those_that_were_asked_for(criteria: Any, after: int) -> None:
    """Those up to the position are known already, in either direction, and no more come than the limit says."""

    async def scenario() -> None:
        store = Wrong()
        log = await five(store)
        everything = await log.read()
        store.twist = lambda found: everything
        for reading in (
            lambda: log.read(criteria, after),
            lambda: log.read(criteria, 3, backwards=True),
            lambda: log.read(criteria, limit=4),
            lambda: log.history(criteria, after),
            lambda: log.history(criteria, limit=4),
        ):
            with pytest.raises(LogCorrupted):
                await reading()
        await log.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("twist", CHANGES.values(), ids=CHANGES)
def test_what_a_state_is_folded_from_ends_where_it_can(twist: Any) -> None:
    """More events than there are positions for, or ends that are the wrong way round, are no history."""

    async def scenario() -> None:
        store = Wrong()
        log = await five(store)
        store.twist = lambda found: twist(found[:2])
        with pytest.raises(LogCorrupted):
            await log.history(SOME)
        await log.close()

    asyncio.run(scenario())


OUTCOMES: dict[str, list[Outcome]] = {
    "a position twice": [Appended(6, 6), Appended(6, 6)],
    "a gap": [Appended(6, 6), Appended(8, 8)],
    "positions that are known": [Appended(5, 5), Appended(6, 6)],
    "fewer than events": [Appended(6, 5), Appended(6, 6)],
    "backwards": [Appended(7, 7), Appended(6, 6)],
}


@pytest.mark.parametrize("outcomes", OUTCOMES.values(), ids=OUTCOMES)
def test_what_is_appended_is_in_a_row(outcomes: list[Outcome]) -> None:
    """A receipt names a position: two commands with one position, or one that is taken, wait for the wrong one."""

    class Miscounting(MemoryStore):
        wrong = False

        async def write(self, batch: Sequence[Append], recorded_at_us: int, **how: Any) -> list[Outcome]:
            return outcomes if self.wrong else await super().write(batch, recorded_at_us, **how)

    async def scenario() -> None:
        store = Miscounting()
        log = await five(store)
        store.wrong = True
        found = await asyncio.gather(log.append([event()]), log.append([event()]), return_exceptions=True)
        assert [type(each) for each in found] == [LogCorrupted, LogCorrupted]
        await log.close()

    asyncio.run(scenario())


def test_what_was_there_before_may_be_anywhere() -> None:
    """Ids that were used before have the outcome of then, between others that are appended now."""

    async def scenario() -> None:
        log = await Log.open(MemoryStore(), SystemClock())
        await log.append([event()], id="early")
        await log.append([event()])
        found = await asyncio.gather(
            log.append([event()]), log.append([event()], id="early"), log.append([]), log.append([event()])
        )
        assert [*found] == [Appended(3, 3), Appended(1, 1, repeated=True), Appended(4, 3), Appended(4, 4)]
        await log.close()

    asyncio.run(scenario())
