"""Snapshots: what is kept of a long state, and when it is used."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Self

from hypothesis import given
from hypothesis import strategies as st

from twofold import Aggregate, Command, Event, Tag, decide, evolve, replace
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.commands import Handler, deciders_of
from twofold.log import Guard, Log, NewEvent

CounterId = Annotated[str, Tag("counter")]


class Add(Command):
    counter: CounterId
    by: int = 1


class Added(Event):
    counter: CounterId
    by: int


class Counter(Aggregate, key=CounterId):
    value: int = 0
    events: int = 0

    @decide
    def add(self, command: Add) -> Iterator[Added]:
        yield Added(counter=command.counter, by=command.by)

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, value=self.value + event.by, events=self.events + 1)


@given(st.lists(st.integers(-5, 5).filter(bool), min_size=1, max_size=40), st.integers(1, 7))
def test_a_snapshot_and_the_tail_are_the_same_as_everything(changes: list[int], every: int) -> None:
    """However often a state is kept, a process that starts from what was kept has the state that all events make."""

    class Kept(Counter, key=CounterId):
        snapshot_every = every

    async def scenario() -> None:
        store = MemoryStore()
        for change in changes:
            log = await Log.open(store, SystemClock())
            handler = Handler(log, deciders_of(Kept), SystemClock())
            await handler.handle(Add(counter="c", by=change))
            await handler.states.close()
            found = handler.states.find(next(deciders_of(Kept)).boundaries[0].fold, "c")
            assert not found.stale
            await log.close()
        log = await Log.open(store, SystemClock())
        handler = Handler(log, deciders_of(Kept), SystemClock())
        fold = next(deciders_of(Kept)).boundaries[0].fold
        cell = handler.states.find(fold, "c")
        await handler.states.load(cell)
        assert cell.state == Kept(key="c", value=sum(changes), events=len(changes))
        kept = await store.load_snapshot(f"Kept:{fold.fingerprint}", "counter:c")
        assert (kept is not None) == (len(changes) >= every)
        await log.close()

    asyncio.run(scenario())


def test_a_snapshot_of_other_code_is_not_used() -> None:
    """What was folded by other steps is not what these steps make."""

    def counter(factor: int) -> type[Counter]:
        class Scaled(Counter, key=CounterId, version=factor):
            snapshot_every = 1

            @evolve
            def added(self, event: Added) -> Self:
                return replace(self, value=self.value + event.by * factor)

        return Scaled

    async def load(store: MemoryStore, kind: type[Counter]) -> int:
        log = await Log.open(store, SystemClock())
        handler = Handler(log, deciders_of(kind), SystemClock())
        cell = handler.states.find(next(deciders_of(kind)).boundaries[0].fold, "c")
        await handler.states.load(cell)
        await handler.states.close()
        await log.close()
        return int(cell.state.value)

    async def scenario() -> None:
        store = MemoryStore()
        log = await Log.open(store, SystemClock())
        await log.append([NewEvent("id", "Added", 1, ("counter:c",), b'{"counter":"c","by":3}')], Guard(()))
        await log.close()
        assert await load(store, counter(1)) == 3
        assert await load(store, counter(10)) == 30
        assert await load(store, counter(1)) == 3

    asyncio.run(scenario())
