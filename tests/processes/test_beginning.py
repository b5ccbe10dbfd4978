"""Where a follower begins that is new: it is told of all that comes after that, and that place is kept."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from twofold.adapters.memory import MemoryStore
from twofold.adapters.memory.views import open_views
from twofold.clock import SystemClock, moment
from twofold.errors import DeclarationError
from twofold.followers import FollowerStore, checkpoints
from twofold.limits import Limits
from twofold.log import Log, NewEvent
from twofold.processes import Start, begin, check_start

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class Hourly(SystemClock):
    """A clock on which an hour passes each time that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self._hours = 0

    def now_us(self) -> int:
        self._hours += 1
        return round((FIRST + timedelta(hours=self._hours - 1)).timestamp() * 1_000_000)


async def an_hour_apart(events: int) -> tuple[Log, Hourly]:
    """Return a log in which the event at position n was recorded n - 1 hours after the first."""
    clock = Hourly()
    log = await Log.open(MemoryStore(), clock)
    for number in range(events):
        await log.append([NewEvent(f"id-{number}", "Ticked", 1, (), b"{}")])
    return log, clock


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


async def place(start: Start, log: Log, clock: SystemClock, store: FollowerStore | None = None) -> int:
    """Return the position from which on a new follower is told."""
    store = store or open_views("memory:", clock, Limits())
    await store.open()
    await begin({"handler:mail": start}, log, store, clock)
    return await checkpoints.position(store, "handler:mail")


@pytest.mark.parametrize(
    ("start", "position"),
    [
        ("first", 0),
        (FIRST - timedelta(days=1), 0),
        (FIRST, 0),
        (FIRST + timedelta(minutes=1), 1),
        (FIRST + timedelta(hours=3), 3),
        (FIRST + timedelta(hours=4, minutes=1), 5),
    ],
)
def test_a_follower_begins_where_it_says(start: Start, position: int) -> None:
    """It is told of what was recorded at its time or later, and of nothing before."""

    async def scenario() -> None:
        log, clock = await an_hour_apart(5)
        clock.now_us()
        assert await place(start, log, clock) == position
        await log.close()

    run(scenario)


def test_now_is_a_record_in_the_log() -> None:
    """If the database of the checkpoints is lost, now is still when it was, and not when the loss was mended."""

    async def scenario() -> None:
        log, clock = await an_hour_apart(3)
        assert await place("now", log, clock) == 4
        await log.append([NewEvent("id-later", "Ticked", 1, (), b"{}")])
        assert await place("now", log, clock) == 4
        assert [each.type for each in await log.read(after=3)] == ["twofold.FollowerBegan", "Ticked"]
        await log.close()

    run(scenario)


def test_who_has_begun_goes_on() -> None:
    """It is said once where a follower begins: another start in the code of tomorrow changes nothing of it."""

    async def scenario() -> None:
        log, clock = await an_hour_apart(3)
        store = open_views("memory:", clock, Limits())
        assert await place("first", log, clock, store) == 0
        assert await place("now", log, clock, store) == 0
        assert await log.head() == 3
        await log.close()

    run(scenario)


def test_a_time_that_is_to_come_is_refused() -> None:
    """Until then there would be no telling which events are left out."""

    async def scenario() -> None:
        log, clock = await an_hour_apart(1)
        with pytest.raises(DeclarationError, match=r"handler:mail begins at 9000-.*still to come.*start='now'"):
            await place(datetime(9000, 1, 1, tzinfo=UTC), log, clock)
        await log.close()

    run(scenario)


@pytest.mark.parametrize("start", [None, "later", 7, moment(0).replace(tzinfo=None)])
def test_a_start_has_to_be_said(start: object) -> None:
    """Nothing is guessed: to send a mail about everything that ever happened is as wrong as to miss the first one."""
    with pytest.raises(DeclarationError, match=r"mail: .*Write start='now' .* start='first' .* start=datetime"):
        check_start(start, lambda: "mail")
