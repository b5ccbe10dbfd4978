"""Whatever is set, moved, taken back and lost, whatever the clocks say: by the log, each timer came due once."""

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.waiting import until
from twofold.adapters.memory import MemoryStore
from twofold.adapters.memory.views import open_views
from twofold.followers import Follower, Segment, claiming, parking
from twofold.limits import HandlerLimits, Limits
from twofold.log import Criterion, Log, NewEvent, recordable
from twofold.messages import Event, reader
from twofold.processes import TIMERS, PendingTimer, TimerCancelled, TimerDue, TimerHandler, TimerSet
from twofold.processes.recording import record
from twofold.processes.timers import TIMER_RECORDS, due_timers, timer_tag
from twofold.testing import MovableClock
from twofold.views import ViewStore, layout, schema

Operation = tuple[str, str, int]

# Few at once, so that many due ones take several rounds.
LIMITS = HandlerLimits(batch_events=3)

operations = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "cancel", "move", "move", "take over", "lose", "settle", "pause"]),
        st.sampled_from("abcde"),
        st.integers(-20, 60),
    ),
    max_size=30,
)


class World:
    """A log, and whoever has its timers come due: those who lost their claim and have not noticed yet go on, too."""

    def __init__(self, log: Log, clock: MovableClock) -> None:
        self.log = log
        self.clock = clock
        self.views: ViewStore
        self._followers: list[asyncio.Task[None]] = []
        self._owners = 0

    async def begin(self) -> None:
        """Begin with a database in which nothing is."""
        await self._end()
        self.views = open_views("memory:", self.clock, Limits())
        await self.views.open()
        await schema.create(self.views, layout(PendingTimer))
        await self.take_over()

    async def take_over(self) -> None:
        """Have somebody else claim the timers."""
        await claiming.leave(self.views, f"owner {self._owners}")
        self._owners += 1
        (claim,) = await claiming.attend(self.views, f"owner {self._owners}", [TIMERS], 60.0)
        handler = TimerHandler(self.log, self.views, self.clock, LIMITS)
        follower = Follower(self.views, handler, self.clock)
        self._followers.append(asyncio.create_task(follower.follow(claim)))

    async def do(self, what: str, timer: str, number: int) -> None:
        match what:
            case "set":
                due_us = self.clock.now_us() + number * 1_000_000
                await self._record(TimerSet(id=timer, due_us=due_us, kind="Alarm", data=msgspec.Raw(b"{}")))
            case "cancel":
                await self._record(TimerCancelled(id=timer))
            case "move":
                self.clock.move(seconds=number)
            case "take over":
                await self.take_over()
            case "lose":
                await self.begin()
            case "settle":
                await self.settle()
            case "pause":
                for _ in range(abs(number)):
                    await asyncio.sleep(0)

    async def _record(self, *records: Event) -> None:
        await record(self.log, records, "", self.clock)

    async def settle(self) -> None:
        """Wait until nothing that is due is pending, by what the log says."""

        async def is_settled() -> bool:
            pending = await outstanding(self.log)
            return not any(due_us <= self.clock.now_us() for due_us in pending.values())

        await until(is_settled)

    async def end(self) -> None:
        await self._end()
        await self.log.close()

    async def _end(self) -> None:
        followers, self._followers = self._followers, []
        for each in followers:
            each.cancel()
        await asyncio.gather(*followers, return_exceptions=True)


async def outstanding(log: Log) -> dict[str, int]:
    """Return when what is pending is due, as the log says it; check that all that came due was pending, and was due."""
    pending: dict[str, int] = {}
    for event in await log.read(limit=10_000):
        timer = reader(TIMER_RECORDS[event.type], event.version)(event.data)
        if isinstance(timer, TimerSet):
            pending[timer.id] = timer.due_us
        elif isinstance(timer, TimerCancelled):
            pending.pop(timer.id, None)
        else:
            assert isinstance(timer, TimerDue)
            assert pending.pop(timer.id, None) == timer.due_us, f"{timer} came, and was not pending"
            assert event.recorded_at_us >= timer.due_us, f"{timer} came too early"
    return pending


@settings(max_examples=150, deadline=None)
@given(operations)
@example([("set", "a", 0), ("set", "b", 0), ("set", "c", 0), ("set", "d", 0), ("cancel", "a", 0), ("move", "a", 1)])
@example([("set", "a", 10), ("settle", "a", 0), ("move", "a", 10), ("take over", "a", 0), ("set", "a", -5)])
@example([("set", "a", 1), ("move", "a", 2), ("settle", "a", 0), ("lose", "a", 0), ("set", "a", -1), ("set", "b", 1)])
def test_the_log_decides_what_has_become_of_a_timer(history: Sequence[Operation]) -> None:
    """What comes due was pending, as it was set last, and at its time; what is due comes; and what is left are rows."""

    async def scenario() -> None:
        clock = MovableClock()
        world = World(await Log.open(MemoryStore(), clock), clock)
        try:
            await world.begin()
            for each in history:
                await world.do(*each)
            await world.take_over()
            await world.settle()
            pending = await outstanding(world.log)

            async def are_rows() -> bool:
                rows = await due_timers(world.views, Segment(), 1 << 60, 100)
                return {row.key: row.due_us for row in rows} == pending

            await until(are_rows)
        finally:
            await world.end()

    asyncio.run(scenario())


def test_what_cannot_be_read_of_a_timer_holds_up_no_other() -> None:
    """It is parked by its timer, and the others of the same batch come."""

    async def scenario() -> None:
        clock = MovableClock()
        world = World(await Log.open(MemoryStore(), clock), clock)
        spoilt = NewEvent("id-1", TimerSet.message_name, 1, (timer_tag("spoilt"),), b"{}")
        whole = recordable(TimerSet(id="whole", due_us=0, kind="Alarm", data=msgspec.Raw(b"{}")), "id-2", b"{}").new
        try:
            await world.log.append([spoilt, whole])
            await world.begin()

            async def has_come() -> bool:
                return bool(await world.log.read((Criterion(types=(TimerDue.message_name,)),)))

            await until(has_come)
            (parked,) = await parking.parked(world.views, TIMERS)
            assert (parked.key, parked.position) == (timer_tag("spoilt"), 1)
            assert "missing required field" in parked.error
        finally:
            await world.end()

    asyncio.run(scenario())
