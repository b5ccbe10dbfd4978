"""What holds of timers from end to end, on whatever databases."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from tests.support.due_timers import fire
from tests.support.process_cases import at_rest
from tests.support.timer_service import Ask, Forget, Ring, Rung, Unheard, plain, reminders
from tests.support.waiting import until
from twofold.errors import IdReused, InvalidMessage, UnknownMessage
from twofold.followers import claiming, parking
from twofold.messages import Metadata, reader
from twofold.processes import TIMERS, PendingTimer, TimerDue
from twofold.service import Running, Settings
from twofold.testing import MovableClock, settled
from twofold.views import layout

FULL = os.environ.get("TWOFOLD_TEST_FULL") == "1"
START = datetime(2026, 3, 1, tzinfo=UTC)
BEYOND = datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))


async def rung(running: Running) -> list[str]:
    """Return the labels of what has rung, in the order of the log."""
    events = await running.log.read(limit=100_000)
    return [reader(Rung, 1)(each.data).label for each in events if each.type == "Rung"]


async def due_records(running: Running) -> list[TimerDue]:
    """Return the records of timers that have come due, in the order of the log."""
    events = await running.log.read(limit=100_000)
    return [reader(TimerDue, 1)(each.data) for each in events if each.type == TimerDue.message_name]


async def pending(running: Running, *timers: str) -> list[PendingTimer]:
    """Return the rows of those timers that are pending."""
    shape = layout(PendingTimer)
    return [shape.unpack(row) for row in await running.views.load(shape, timers)]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def in_minutes(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class TimerCases:
    """A suite for databases that are named by a fixture ``settings``; the next run finds in them what the last one left."""

    def test_a_timer_comes_when_it_is_due_and_not_before(self, settings: Settings) -> None:
        """The clock decides, to the microsecond, and the process is told once; then it is not pending any more."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                await running.send(Ask(item="tea", due=in_minutes(30), label="ready"))
                await at_rest(running)
                (row,) = await pending(running, "Reminding/item:tea/Alarm")
                assert (row.kind, row.instance) == ("Alarm", "Reminding/item:tea")
                clock.move(minutes=30, seconds=-0.000001)
                await at_rest(running)
                assert await rung(running) == []
                clock.move(seconds=0.000001)
                await until(lambda: rung(running))
                await at_rest(running)
                assert await rung(running) == ["ready"]
                (record,) = await due_records(running)
                assert record.due_us == row.due_us
                assert await pending(running, row.key) == []

        run(scenario)

    def test_a_timer_that_is_moved_comes_at_its_new_time_alone(self, settings: Settings) -> None:
        """Set again, it is another one in the place of the first."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                await running.send(Ask(item="tea", due=in_minutes(10), label="first"))
                await running.send(Ask(item="tea", due=in_minutes(20), label="second"))
                await at_rest(running)
                clock.move(minutes=15)
                await at_rest(running)
                assert await rung(running) == []
                clock.move(minutes=5)
                await until(lambda: rung(running))
                await at_rest(running)
                assert await rung(running) == ["second"]

        run(scenario)

    def test_a_timer_that_is_taken_back_does_not_come(self, settings: Settings) -> None:
        """Nothing is left of it, and time passes without it."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                await running.send(Ask(item="tea", due=in_minutes(10)))
                await running.send(Forget(item="tea"))
                await at_rest(running)
                clock.move(days=1)
                await running.send(Ask(item="cake", due=in_minutes(20), label="cake"))
                await until(lambda: rung(running))
                await at_rest(running)
                assert await rung(running) == ["cake"]

        run(scenario)

    def test_what_was_due_while_nobody_was_there_comes_at_the_next_start(self, settings: Settings) -> None:
        """Late, once, and the one that was due first comes first."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                for minutes in (30, 10, 20):
                    await running.send(Ask(item=f"i-{minutes}", due=in_minutes(minutes), label=f"{minutes}"))
                await at_rest(running)
            clock.move(days=1)
            async with reminders.run(settings, clock=clock) as running:

                async def all_rung() -> bool:
                    return len(await rung(running)) == 3

                await until(all_rung)
                await at_rest(running)
                assert [each.due_us for each in await due_records(running)] == sorted(
                    each.due_us for each in await due_records(running)
                )
                assert sorted(await rung(running)) == ["10", "20", "30"]

        run(scenario)

    # Delayed commands.

    def test_a_delayed_command_is_decided_when_it_is_due(self, settings: Settings) -> None:
        """Not before, once, and what comes of it tells which request has led to it."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                command = Ring(item="tea", label="later")
                metadata = Metadata(correlation="request-1", actor="ann")
                receipt = await running.send(command, at=in_minutes(5), id="r-1", metadata=metadata)
                assert await running.send(command, at=in_minutes(5), id="r-1") == receipt
                await at_rest(running)
                assert await rung(running) == []
                clock.move(minutes=5)
                await until(lambda: rung(running))
                await at_rest(running)
                assert await rung(running) == ["later"]
                (event,) = [each for each in await running.log.read() if each.type == "Rung"]
                assert (event.metadata.correlation, event.metadata.actor) == ("request-1", "ann")
                assert event.metadata.command == "r-1"

        run(scenario)

    def test_a_delayed_command_is_taken_back_until_it_is_sent(self, settings: Settings) -> None:
        """Once it is cancelled, sent, or was never there, there is nothing to take back, which is said."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                await running.send(Ring(item="tea", label="taken back"), at=in_minutes(5), id="r-1")
                await running.send(Ring(item="tea", label="sent"), at=in_minutes(6), id="r-2")
                assert await running.cancel("r-1")
                assert not await running.cancel("r-1")
                assert not await running.cancel("never sent")
                clock.move(minutes=10)
                await until(lambda: rung(running))
                await at_rest(running)
                assert not await running.cancel("r-2")
                assert await rung(running) == ["sent"]

        run(scenario)

    def test_a_service_that_declares_nothing_of_the_kind_has_delayed_commands_too(self, settings: Settings) -> None:
        """Its followers of commands and timers begin with the first one, in this process and after a restart."""

        async def scenario() -> None:
            clock = MovableClock(START)
            for number in (1, 2):
                async with plain.run(settings, clock=clock) as running:
                    await running.send(Ring(item="tea", label=f"{number}"), at=clock.now + timedelta(minutes=5))
                    await settled(running)
                    clock.move(minutes=5)
                    await settled(running)
                    assert await rung(running) == ["1", "2"][:number]

        run(scenario)

    def test_what_could_never_be_done_is_refused_at_once(self, settings: Settings) -> None:
        """A command that nothing decides on, one that does not fit, a time without a zone: whoever gives it is told."""

        async def scenario() -> None:
            async with reminders.run(settings) as running:
                with pytest.raises(UnknownMessage, match="Nothing decides on Unheard here"):
                    await running.send(Unheard(item="tea"), at=in_minutes(5))
                with pytest.raises(InvalidMessage, match="no zone"):
                    await running.send(Ring(item="tea"), at=datetime(2026, 1, 1))  # noqa: DTZ001 -- that is the point
                with pytest.raises(InvalidMessage, match="beyond the years 1 to 9999"):
                    await running.send(Ring(item="tea"), at=BEYOND)
                with pytest.raises(InvalidMessage, match="Choose another"):
                    await running.send(Ring(item="tea"), at=in_minutes(5), id="twofold/begin/timers")
                with pytest.raises(InvalidMessage):
                    await running.send(Ring(item=7), at=in_minutes(5))  # type: ignore[arg-type]
                await running.send(Ring(item="tea"), at=in_minutes(5), id="r-1")
                for other in (Ring(item="cake"), Ring(item="tea")):
                    with pytest.raises(IdReused, match="'r-1' was that of another command"):
                        await running.send(other, at=in_minutes(6), id="r-1")

        run(scenario)

    # What may go wrong.

    def test_a_timer_for_a_time_that_does_not_come_stops_no_other(self, settings: Settings) -> None:
        """Its instance is parked, and says why: no table could keep it, and no calendar could show it."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                await running.send(Ask(item="tea", due=BEYOND))
                await running.send(Ask(item="cake", due=in_minutes(10), label="cake"))
                await settled(running)
                (left,) = await parking.parked(running.views)
                assert (left.key, left.error.partition(":")[0]) == ("item:tea", "ValueError")
                clock.move(minutes=10)
                await settled(running)
                assert await rung(running) == ["cake"]

        run(scenario)

    def test_nothing_comes_twice_if_all_that_is_remembered_is_lost(self, settings: Settings) -> None:
        """The follower begins at the first event then, and what had come due by the log is not pending any more."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                await running.send(Ask(item="tea", due=in_minutes(10), label="tea"))
                await running.send(Ask(item="cake", due=in_minutes(20), label="cake"))
                await settled(running)
                clock.move(minutes=10)
                await settled(running)
            async with reminders.run(msgspec.structs.replace(settings, views="memory:"), clock=clock) as running:
                await settled(running)
                assert await rung(running) == ["tea"]
                clock.move(minutes=10)
                await settled(running)
                assert await rung(running) == ["tea", "cake"]

        run(scenario)

    def test_a_timer_that_another_process_sets_comes_too(self, settings: Settings) -> None:
        """Who follows the timers hears of it by the log; so does who follows some of them, where they are divided."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with (
                reminders.run(settings, clock=clock) as following,
                reminders.run(settings, clock=clock, roles=["commands"]) as running,
            ):
                await settled(following)
                await claiming.split(following.views, TIMERS, 4)
                labels = [f"{number}" for number in range(20)]
                for label in labels:
                    await running.send(Ask(item=f"i-{label}", due=in_minutes(5), label=label))
                await settled(following)
                clock.move(minutes=5)
                await settled(following)
                assert sorted(await rung(running)) == sorted(labels)

        run(scenario)

    def test_a_clock_that_is_set_back_brings_nothing_again(self, settings: Settings) -> None:
        """What came due has come due, and what is pending waits for its time by the clock as it is now."""

        async def scenario() -> None:
            clock = MovableClock(START)
            async with reminders.run(settings, clock=clock) as running:
                await running.send(Ask(item="tea", due=in_minutes(10), label="tea"))
                await running.send(Ask(item="cake", due=in_minutes(20), label="cake"))
                await settled(running)
                clock.move(minutes=10)
                await settled(running)
                clock.move(minutes=-5)
                clock.move(minutes=14)
                await settled(running)
                assert await rung(running) == ["tea"]
                clock.move(minutes=1)
                await settled(running)
                assert await rung(running) == ["tea", "cake"]

        run(scenario)

    def test_each_timer_comes_once_though_a_process_is_killed(self, settings: Settings) -> None:
        """Many come due at once, two processes wait for them, and the one that has them come due is killed halfway."""
        count, seconds = (100_000, 60.0) if FULL else (1_000, 1.0)
        fired = asyncio.run(fire(settings, count, seconds))
        assert fired.times == {f"timer-{number}": 1 for number in range(count)}
        assert fired.late_seconds[0] >= 0
