"""What holds of schedules from end to end, on whatever databases."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Annotated, Self

import msgspec

from twofold import Aggregate, Command, Event, Service, Tag, Tick, decide, every, evolve, replace
from twofold.messages import reader
from twofold.processes import PendingTimer, Schedule, TimerDue
from twofold.processes.recording import record
from twofold.service import Running, Settings
from twofold.testing import MovableClock, settled
from twofold.views import layout

BookId = Annotated[str, Tag("book")]
BEGINNING = datetime(2026, 3, 28, 12, tzinfo=UTC)


class CloseDay(Command):
    book: BookId
    at: str
    missed: int


class DayClosed(Event):
    book: BookId
    at: str
    missed: int


class Book(Aggregate, key=BookId):
    days: int = 0

    @decide
    def close_day(self, command: CloseDay) -> Iterator[DayClosed]:
        yield DayClosed(book=command.book, at=command.at, missed=command.missed)

    @evolve
    def day_closed(self, event: DayClosed) -> Self:
        return replace(self, days=self.days + 1)


def closing(tick: Tick) -> Iterator[CloseDay]:
    yield CloseDay(book="main", at=tick.at.isoformat(), missed=tick.missed)


def service(*schedules: Schedule) -> Service:
    return Service("books", aggregates=[Book], schedules=schedules)


@every("0 2 * * *", zone="Europe/Berlin", missed="one")
def nightly(tick: Tick) -> Iterator[CloseDay]:
    yield from closing(tick)


@every("0 2 * * *", zone="Europe/Berlin", missed="all")
def each_night(tick: Tick) -> Iterator[CloseDay]:
    yield from closing(tick)


@every("0 2 * * *", zone="Europe/Berlin", missed="none")
def on_time(tick: Tick) -> Iterator[CloseDay]:
    yield from closing(tick)


def changed() -> Schedule:
    """Return the nightly one at another time."""

    @every("0 3 * * *", zone="Europe/Berlin", missed="one")
    def nightly(tick: Tick) -> Iterator[CloseDay]:
        yield from closing(tick)

    return nightly


async def closed(running: Running) -> list[tuple[str, int]]:
    events = [each for each in await running.log.read() if each.type == "DayClosed"]
    found = [reader(DayClosed, 1)(each.data) for each in events]
    return [(each.at, each.missed) for each in found]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


class ScheduleCases:
    """A suite for databases that are named by a fixture ``settings``; the next run finds in them what the last one left."""

    def test_it_ticks_at_its_times_in_its_zone(self, settings: Settings) -> None:
        """Also in the night in which the clocks are set, where two o'clock is left out."""

        async def scenario() -> None:
            clock = MovableClock(BEGINNING)
            async with service(nightly).run(settings, clock=clock) as running:
                await settled(running)
                for _ in range(2):
                    clock.move(days=1)
                    await settled(running)
                assert await closed(running) == [("2026-03-29T03:00:00+02:00", 0), ("2026-03-30T02:00:00+02:00", 0)]

        run(scenario)

    def test_it_ticks_once_for_all_processes_and_restarts(self, settings: Settings) -> None:
        """Two instances share its databases, and both start again before the next time."""

        async def scenario() -> None:
            clock = MovableClock(BEGINNING)
            for _ in range(2):
                async with AsyncExitStack() as stack:
                    first, second = [
                        await stack.enter_async_context(service(nightly).run(settings, clock=clock)) for _ in range(2)
                    ]
                    clock.move(days=1)
                    await settled(first, second)
            async with service(nightly).run(settings, clock=clock) as running:
                await settled(running)
                assert [at[:10] for at, _ in await closed(running)] == ["2026-03-29", "2026-03-30"]

        run(scenario)

    def test_a_tick_comes_once_although_clocks_differ(self, settings: Settings) -> None:
        """It came by a clock that is ahead, and by this one its time is still to come: then it is not to come again."""

        async def scenario() -> None:
            clock = MovableClock(BEGINNING)
            async with service(nightly).run(settings, clock=clock) as running:
                await settled(running)
                clock.move(hours=12, minutes=59, seconds=59)
                shape = layout(PendingTimer)
                row = shape.unpack((await running.views.load(shape, ["schedule/nightly"]))[0])
                due = TimerDue(id=row.key, due_us=row.due_us, kind=row.kind, data=msgspec.Raw(row.data))
                await record(running.log, [due], "", clock)
                await settled(running)
                clock.move(minutes=5)
                await settled(running)
                assert await closed(running) == [("2026-03-29T03:00:00+02:00", 0)]

        run(scenario)

    def test_ticks_that_were_missed_are_made_up_for_as_declared(self, settings: Settings) -> None:
        """Nobody was there for three nights: one tick stands for all, each is made up for, or none is."""

        async def scenario() -> None:
            clock = MovableClock(BEGINNING)
            async with service(nightly, each_night, on_time).run(settings, clock=clock) as running:
                await settled(running)
            clock.move(days=3)
            async with service(nightly, each_night, on_time).run(settings, clock=clock) as running:
                await settled(running)
                found = sorted([(at[:10], missed) for at, missed in await closed(running)])
                assert found == [("2026-03-29", 0), ("2026-03-30", 0), ("2026-03-31", 0), ("2026-03-31", 2)]
                clock.move(hours=12)
                await settled(running)
                assert [at[:10] for at, _ in (await closed(running))[4:]] == ["2026-04-01"] * 3

        run(scenario)

    def test_other_times_hold_from_the_next_start_on(self, settings: Settings) -> None:
        """The time that was waited for is not waited for any more."""

        async def scenario() -> None:
            clock = MovableClock(BEGINNING)
            async with service(nightly).run(settings, clock=clock) as running:
                await settled(running)
            async with service(changed()).run(settings, clock=clock) as running:
                clock.move(days=2)
                await settled(running)
                clock.move(days=1)
                await settled(running)
                assert [at[11:13] for at, _ in await closed(running)] == ["03", "03"]

        run(scenario)

    def test_one_that_was_not_declared_for_a_while_goes_on(self, settings: Settings) -> None:
        """Meanwhile it does nothing; then it begins with its next time, as a new one does."""

        async def scenario() -> None:
            clock = MovableClock(BEGINNING)
            async with service(nightly, each_night).run(settings, clock=clock) as running:
                await settled(running)
            async with service(each_night).run(settings, clock=clock) as running:
                clock.move(days=1)
                await settled(running)
            async with service(nightly, each_night).run(settings, clock=clock) as running:
                await settled(running)
                before = await closed(running)
                clock.move(days=1)
                await settled(running)
                assert len(await closed(running)) == len(before) + 2

        run(scenario)
