"""What holds of processes from end to end, on whatever databases."""

import asyncio
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tests.support.order_service import CancelOrder, Close, Fulfilment, PaymentDeadline, Place, shop
from tests.support.relay_race import Finish, HandOver, Leg, race
from tests.support.waiting import until
from twofold.followers import Parked, claiming, parking
from twofold.log import Log
from twofold.messages import Event, reader
from twofold.processes import CommandSent, CommandSettled, ProcessInstance, TimerDue, TimerSet
from twofold.processes.recording import record
from twofold.service import Running, Settings
from twofold.views import layout

SHAPE = layout(ProcessInstance)


async def at_rest(running: Running) -> None:
    """Wait until every follower has come to where the log ends, and nothing follows from that."""

    async def is_at_rest() -> bool:
        head = await running.log.head()
        reached = [each.position for each in await running.progress()]
        return bool(reached) and min(reached) >= head == await running.log.head()

    await until(is_at_rest)


async def instances(running: Running, *ids: str) -> list[ProcessInstance]:
    """Return the rows of instances, in the order of their ids."""
    found = [SHAPE.unpack(each) for each in await running.views.load(SHAPE, ids)]
    return sorted(found, key=lambda each: str(each.key))


async def records(log: Log, kind: type[Event]) -> list[Any]:
    """Return the events of a type in the log."""
    return [
        reader(kind, each.version)(each.data)
        for each in await log.read(limit=100_000)
        if each.type == kind.message_name
    ]


async def sent(log: Log) -> list[tuple[str, str]]:
    """Return the ids of the commands that were sent, and what they are, in the order of the log."""
    return [(each.id, each.command) for each in await records(log, CommandSent)]


async def told(log: Log) -> list[str]:
    """Return the types of the users' events in the log."""
    return [each.type for each in await log.read(limit=100_000) if not each.type.startswith("twofold.")]


async def come_due(running: Running, timer: TimerSet) -> None:
    """Say that a timer has come due."""
    due = TimerDue(id=timer.id, due_us=timer.due_us, kind=timer.kind, data=timer.data, instance=timer.instance)
    await record(running.log, [due], f"timer/{timer.id}/{timer.due_us}", running.clock)


async def parked(running: Running) -> list[Parked]:
    return await parking.parked(running.views)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


class ProcessCases:
    """A suite for databases that are named by a fixture ``settings``; the next run finds in them what the last one left."""

    def test_an_order_is_seen_through(self, settings: Settings) -> None:
        """Each command is sent once, under an id that says from what; after a restart nothing is done again."""
        expected = [
            ("Fulfilment/order:7/1/0", "Reserve"),
            ("Fulfilment/order:7/5/0", "Charge"),
            ("Fulfilment/order:7/8/0", "Ship"),
            ("Fulfilment/order:7/11/0", "Close"),
        ]

        async def scenario() -> None:
            async with shop.run(settings) as running:
                await running.send(Place(order="7", units=3))
                await at_rest(running)
                assert await sent(running.log) == expected
                assert await told(running.log) == ["Placed", "Reserved", "Charged", "Shipped", "Closed"]
            async with shop.run(settings) as running:
                await running.send(Place(order="8", units=11))
                await at_rest(running)
                assert (await sent(running.log))[:4] == expected
                seven, eight = await instances(running, "Fulfilment/order:7", "Fulfilment/order:8")
                assert (seven.process, seven.version, seven.status) == ("Fulfilment", 1, "ended")
                assert msgspec.json.decode(seven.state, type=Fulfilment) == Fulfilment(key="7", units=3, status="paid")
                assert seven.started_us < seven.changed_us
                # It is refused, and that is an outcome like any other.
                assert (await told(running.log))[-2:] == ["Placed", "Closed"]
                assert eight.status == "ended"
                assert await parked(running) == []

        run(scenario)

    def test_what_was_done_is_undone(self, settings: Settings) -> None:
        """In reverse order, after what was under way: of many orders that end somehow, nothing is left reserved or paid."""

        async def scenario() -> None:
            async with shop.run(settings) as running:
                orders = [str(number) for number in range(40)]
                sending = [running.send(Place(order=each, units=1 + int(each) % 12)) for each in orders]
                await asyncio.gather(*sending, *[running.send(CancelOrder(order=each)) for each in orders[::3]])
                await at_rest(running)
                assert await parked(running) == []
                closed = {each["order"]: each["status"] for each in await data_of(running.log, "Closed")}
                assert closed.keys() == {*orders}
                left = await left_of(running.log)
                for order in orders:
                    units = 1 + int(order) % 12 if closed[order] == "shipped" else 0
                    assert left[order] == (units, units), order
                assert {each for order, each in closed.items() if int(order) % 12 == 6} == {"undone"}

        run(scenario)

    def test_a_timer_comes_to_who_waits_for_it(self, settings: Settings) -> None:
        """A late one of an instance that has ended does nothing, and is no error."""

        async def scenario() -> None:
            async with shop.run(settings) as running:
                await running.send(Place(order="7", units=7))
                await at_rest(running)
                (timer,) = await records(running.log, TimerSet)
                assert (timer.id, timer.kind) == ("Fulfilment/order:7/PaymentDeadline", PaymentDeadline.message_name)
                before = await told(running.log)
                await come_due(running, timer)
                await at_rest(running)
                assert await told(running.log) == before
                assert await parked(running) == []

        run(scenario)

    def test_two_first_events_start_one_instance(self, settings: Settings) -> None:
        """Whichever is first in the log starts it, and it is told of both."""

        async def scenario() -> None:
            async with race.run(settings) as running:
                teams = [str(number) for number in range(30)]
                await asyncio.gather(*[running.send(kind(team=each)) for each in teams for kind in (HandOver, Leg)])
                await at_rest(running)
                rows = await instances(running, *[f"Race/team:{each}" for each in teams])
                assert len(rows) == len(teams)
                for row in rows:
                    state = msgspec.json.decode(row.state)
                    assert (state["legs"], state["hand_overs"]) == (1, 1), row
                assert Counter(command for _, command in await sent(running.log)) == {"Cheer": 2 * len(teams)}

        run(scenario)

    def test_what_finds_no_instance_becomes_what_is_declared(self, settings: Settings) -> None:
        """Parked with the reason, or left out; an instance that has ended is begun anew by what starts one."""

        async def scenario() -> None:
            async with race.run(settings) as running:
                await running.send(Finish(team="a"))
                await at_rest(running)
                (stray,) = await parked(running)
                assert (stray.follower, stray.key, stray.attempts) == ("process:Race", "team:a", 1)
                assert "Finished is about 'Race/team:a', which has not been started" in stray.error
                await running.send(Leg(team="b"))
                await running.send(Finish(team="b"))
                await running.send(Finish(team="b"))
                await running.send(Leg(team="b"))
                await at_rest(running)
                (row,) = await instances(running, "Race/team:b")
                assert msgspec.json.decode(row.state) == {"key": "b", "legs": 1, "hand_overs": 0}
                assert row.status == "running"
                assert len(await parked(running)) == 1

        run(scenario)

    def test_if_the_database_of_instances_is_lost_nothing_is_sent_twice(self, settings: Settings) -> None:
        """All of it is made again from the log: what was sent is recognised by its id, and every instance is as it was."""
        orders = [f"Fulfilment/order:{number}" for number in range(12)]

        async def scenario() -> None:
            async with shop.run(settings) as running:
                await asyncio.gather(*[running.send(Place(order=str(each), units=1 + each)) for each in range(12)])
                await at_rest(running)
                head, before = await running.log.head(), await instances(running, *orders)
            async with shop.run(msgspec.structs.replace(settings, views="memory:")) as running:
                await at_rest(running)
                assert await running.log.head() == head
                assert await instances(running, *orders) == before
                await running.send(Close(order="99", status="seen"))
                await at_rest(running)
                assert await running.log.head() == head + 1

        run(scenario)

    def test_what_is_divided_is_seen_through_as_well(self, settings: Settings) -> None:
        """Each instance is in one segment, by whatever it is told of; any text is a key, however long."""
        longest, odd = "x" * 500, "ä ß/~,%🙂"

        async def scenario() -> None:
            async with shop.run(settings) as running:
                await at_rest(running)
                for follower in ("process:Fulfilment", "commands"):
                    await claiming.split(running.views, follower, 4)
                orders = [longest, odd, *map(str, range(40))]
                await asyncio.gather(*[running.send(Place(order=each, units=3)) for each in orders])
                await at_rest(running)
                assert await parked(running) == []
                closed = {each["order"]: each["status"] for each in await data_of(running.log, "Closed")}
                assert closed == dict.fromkeys(orders, "shipped")
                assert [each.status for each in await instances(running, f"Fulfilment/order:{odd}")] == ["ended"]

        run(scenario)


async def data_of(log: Log, kind: str) -> Sequence[dict[str, Any]]:
    return [msgspec.json.decode(each.data) for each in await log.read(limit=100_000) if each.type == kind]


async def left_of(log: Log) -> dict[str, tuple[int, int]]:
    """Return how many units of each order are reserved, and how many are paid."""
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for each in await log.read(limit=100_000):
        data = msgspec.json.decode(each.data)
        if "order" in data:
            totals[data["order"]][each.type] += data.get("units", 0) or data.get("cents", 0) // 100
    return {
        order: (each["Reserved"] - each["Released"], each["Charged"] - each["Refunded"])
        for order, each in totals.items()
    }


ORDERS = 240
ROUNDS = 4
ROOT = Path(__file__).parents[2]


@contextmanager
def killed_in_the_end(settings: Settings, number: int) -> Iterator[None]:
    """Run so many processes of the shop, and kill them."""
    command = [sys.executable, "-m", "tests.support.seeing_process", str(settings.log), str(settings.views)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(number)]
    try:
        yield
    finally:
        for each in processes:
            each.kill()
        for each in processes:
            each.wait()


async def place(running: Running, orders: Iterable[int]) -> None:
    for order in orders:
        await running.send(Place(order=str(order), units=1 + order % 12), id=f"place {order}")
        if order % 5 == 0:
            await running.send(CancelOrder(order=str(order)), id=f"cancel {order}")


class KilledProcessCases:
    """The same under hostile circumstances."""

    def test_every_order_ends_once_however_often_processes_are_killed(self, settings: Settings) -> None:
        """One or two at a time, with -9, in the middle of what comes in: money and units are where they have to be."""

        async def is_past(running: Running, position: int) -> bool:
            return any(each.position >= position for each in await running.progress())

        async def scenario() -> None:
            async with shop.run(settings):
                # Now there is a table of instances, and of followers.
                pass
            async with shop.run(settings, roles=["commands", "queries"]) as running:
                for number in range(ROUNDS):
                    orders = range(number * ORDERS // ROUNDS, (number + 1) * ORDERS // ROUNDS)
                    begun = await running.log.head()
                    with killed_in_the_end(settings, 1 + number % 2):
                        placing = asyncio.create_task(place(running, orders))
                        await until(partial(is_past, running, begun + 40 + 70 * number))
                    await placing
            async with shop.run(settings) as running:
                await at_rest(running)
                await _check_accounts(running)

        run(scenario)


async def _check_accounts(running: Running) -> None:
    assert await parked(running) == []
    closed = Counter(each["order"] for each in await data_of(running.log, "Closed"))
    assert closed == {str(order): 1 for order in range(ORDERS)}
    ids = [id for id, _ in await sent(running.log)]
    assert len(ids) == len({*ids})
    settled = Counter(each.id for each in await records(running.log, CommandSettled))
    assert settled == dict.fromkeys(ids, 1)
    status = {each["order"]: each["status"] for each in await data_of(running.log, "Closed")}
    left = await left_of(running.log)
    for order in range(ORDERS):
        units = 1 + order % 12 if status[str(order)] == "shipped" else 0
        assert left[str(order)] == (units, units), order
    rows = await instances(running, *[f"Fulfilment/order:{order}" for order in range(ORDERS)])
    assert Counter(each.status for each in rows) == {"ended": ORDERS}
