"""The decision loop: conflicts, pipelining, rejections, repetitions, snapshots."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold import Aggregate, Command, Context, Event, Rejected, Tag, decide, evolve, replace
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.commands import Handler, deciders_of
from twofold.errors import LogUnavailable, TooManyConflicts, UnknownMessage
from twofold.log import Append, Guard, Log, NewEvent, Outcome, Store
from twofold.messages import Metadata

CounterId = Annotated[str, Tag("counter")]


class Add(Command):
    counter: CounterId
    by: int = 1


class Take(Command):
    counter: CounterId
    by: int = 1


class Stamp(Command):
    counter: CounterId


class Added(Event):
    counter: CounterId
    by: int


class Stamped(Event):
    counter: CounterId
    at_us: int
    id: str


class TooLittle(Rejected):
    """There is not so much."""


class Counter(Aggregate, key=CounterId):
    value: int = 0
    events: int = 0

    @decide
    def add(self, command: Add) -> Iterator[Added]:
        if command.by:
            yield Added(counter=command.counter, by=command.by)

    @decide
    def take(self, command: Take) -> Iterator[Added]:
        if self.value < command.by:
            raise TooLittle(self.value)
        yield Added(counter=command.counter, by=-command.by)

    @decide
    def stamp(self, command: Stamp, context: Context) -> Iterator[Stamped]:
        yield Stamped(counter=command.counter, at_us=context.now_us, id=context.new_id())

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, value=self.value + event.by, events=self.events + 1)

    @evolve
    def stamped(self, event: Stamped) -> Self:
        return self


class CountingStore(MemoryStore):
    """A real store that counts its commits, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.failing = False

    async def write(self, batch: Sequence[Append], recorded_at_us: int) -> list[Outcome]:
        self.commits += 1
        if self.failing:
            await asyncio.sleep(0)
            raise LogUnavailable("The disk is full.")
        return await super().write(batch, recorded_at_us)


@asynccontextmanager
async def handlers(*stores: Store) -> AsyncIterator[list[Handler]]:
    logs = [await Log.open(store, SystemClock()) for store in stores]
    found = [Handler(log, deciders_of(Counter), SystemClock()) for log in logs]
    try:
        yield found
    finally:
        for handler, log in zip(found, logs, strict=True):
            await handler.states.close()
            await log.close()


@pytest.mark.parametrize("instances", [1, 3])
def test_no_more_is_taken_than_there_is_whoever_takes_it(tmp_path: Path, instances: int) -> None:
    """Several processes decide on one key at once: each unit is taken once, and the rest is refused."""

    async def scenario() -> None:
        async with handlers(*[SqliteStore(str(tmp_path / "log.db")) for _ in range(instances)]) as found:
            await found[0].handle(Add(counter="c", by=100))

            async def taker(handler: Handler) -> tuple[int, int]:
                taken = refused = 0
                for _ in range(20):
                    try:
                        await handler.handle(Take(counter="c"))
                        taken += 1
                    except TooLittle:
                        refused += 1
                return taken, refused

            results = await asyncio.gather(*[taker(found[n % instances]) for n in range(9)])
            assert sum(taken for taken, _ in results) == 100
            assert sum(refused for _, refused in results) == 80

    asyncio.run(scenario())


def test_commands_for_one_key_share_commits() -> None:
    """A hot key is not limited to one command a commit, and its history is the same as if it were."""

    async def scenario() -> None:
        store = CountingStore()
        async with handlers(store) as [handler]:
            positions = await asyncio.gather(*[handler.handle(Add(counter="c")) for _ in range(200)])
            assert sorted(positions) == list(range(1, 201))
            assert store.commits < 20

    asyncio.run(scenario())


def test_a_failed_commit_fails_its_commands_and_no_later_one() -> None:
    """What was expected of it is forgotten: the next command decides on what the log has."""

    async def scenario() -> None:
        store = CountingStore()
        async with handlers(store) as [handler]:
            await handler.handle(Add(counter="c", by=5))
            store.failing = True
            failed = await asyncio.gather(
                *[handler.handle(Add(counter="c", by=100)) for _ in range(5)], return_exceptions=True
            )
            store.failing = False
            assert all(isinstance(each, LogUnavailable) for each in failed)
            with pytest.raises(TooLittle, match=r"\(5\)"):
                await handler.handle(Take(counter="c", by=6))
            await handler.handle(Take(counter="c", by=5))

    asyncio.run(scenario())


def test_a_rejection_is_given_only_on_what_the_log_has(tmp_path: Path) -> None:
    """What this process remembers is not enough to say no: another one may have added in the meantime."""

    async def scenario() -> None:
        stores = [SqliteStore(str(tmp_path / "log.db")) for _ in range(2)]
        async with handlers(*stores) as [one, other]:
            await one.handle(Add(counter="c", by=1))
            await other.handle(Add(counter="c", by=10))
            assert await one.handle(Take(counter="c", by=11)) == 3

    asyncio.run(scenario())


def test_a_repeated_id_is_answered_even_where_the_command_would_be_refused_now() -> None:
    """The first answer was lost on the way; it is not a second wish."""

    async def scenario() -> None:
        async with handlers(CountingStore()) as [handler]:
            await handler.handle(Add(counter="c", by=1))
            first = await handler.handle(Take(counter="c"), id="take")
            assert await handler.handle(Take(counter="c"), id="take") == first
            at_once = await asyncio.gather(*[handler.handle(Add(counter="c"), id="add") for _ in range(5)])
            assert set(at_once) == {3}
            with pytest.raises(TooLittle):
                await handler.handle(Take(counter="c", by=9), id="never")
            assert await handler.handle(Add(counter="c", by=0), id="nothing") == 3
            await handler.handle(Add(counter="c", by=1))
            assert await handler.handle(Add(counter="c", by=0), id="nothing") == 3

    asyncio.run(scenario())


def test_a_caller_that_gives_up_does_not_confuse_the_state() -> None:
    """Whether its events were stored or not, the next decision is made on what was."""

    async def scenario() -> None:
        async with handlers(CountingStore()) as [handler]:
            await handler.handle(Add(counter="c", by=1))
            given_up = asyncio.create_task(handler.handle(Add(counter="c", by=10)))
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            await asyncio.gather(*[handler.handle(Take(counter="c", by=1)) for _ in range(11)])
            with pytest.raises(TooLittle):
                await handler.handle(Take(counter="c", by=1))

    asyncio.run(scenario())


def test_who_never_wins_is_told_so() -> None:
    """A command that conflicts for ever ends with an error that says what to do, and not with silence."""

    class Contended(CountingStore):
        async def write(self, batch: Sequence[Append], recorded_at_us: int) -> list[Outcome]:
            foreign = Append((NewEvent("id", "Added", 1, ("counter:c",), b'{"counter":"c","by":1}'),))
            return (await super().write([foreign, *batch], recorded_at_us))[1:]

    async def scenario() -> None:
        async with handlers(Contended()) as [handler]:
            with pytest.raises(TooManyConflicts, match=r"Add was decided 64 times.*Counter"):
                await handler.handle(Add(counter="c"))

    asyncio.run(scenario())


def test_what_nothing_decides_on_is_refused_by_name() -> None:
    """A command of another service, perhaps."""

    class Lost(Command):
        pass

    async def scenario() -> None:
        async with handlers(CountingStore()) as [handler]:
            with pytest.raises(UnknownMessage, match="Lost"):
                await handler.handle(Lost())

    asyncio.run(scenario())


def test_events_say_what_led_to_them() -> None:
    """Correlation comes from outside or from the command's own id; time and ids come from the context."""

    async def scenario() -> None:
        async with handlers(CountingStore()) as [handler]:
            await handler.handle(Stamp(counter="c"), id="command-1", metadata=Metadata(correlation="r-1", actor="ann"))
            await handler.handle(Stamp(counter="c"), id="command-2")
            first, second = await handler._log.read()
            assert (first.metadata.correlation, first.metadata.command, first.metadata.actor) == (
                "r-1",
                "command-1",
                "ann",
            )
            assert second.metadata.correlation == "command-2"
            assert b'"at_us":' in first.data

    asyncio.run(scenario())


def test_states_are_forgotten_and_found_again_in_a_bounded_memory() -> None:
    """More keys than fit, each used again and again while others are under way."""

    async def scenario() -> None:
        async with handlers(CountingStore()) as [handler]:
            handler.states._capacity = 5
            await asyncio.gather(*[handler.handle(Add(counter=f"c{n % 20}")) for n in range(200)])
            assert len(handler.states._cells) <= 5
            for n in range(20):
                with pytest.raises(TooLittle, match=r"\(10\)"):
                    await handler.handle(Take(counter=f"c{n}", by=11))

    asyncio.run(scenario())


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
