"""What holds of processes from end to end, on whatever databases."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from tests.support.order_service import Fulfilment, Place, shop
from tests.support.waiting import until
from twofold.messages import reader
from twofold.processes import CommandSent, ProcessInstance
from twofold.service import Running, Settings
from twofold.views import layout


async def at_rest(running: Running) -> None:
    """Wait until every follower has come to where the log ends, and nothing follows from that."""

    async def is_at_rest() -> bool:
        head = await running.log.head()
        reached = [each.position for each in await running.progress()]
        return bool(reached) and min(reached) >= head == await running.log.head()

    await until(is_at_rest)


async def instance_of(running: Running, key: str, process: str = "Fulfilment") -> ProcessInstance | None:
    """Return the row of an instance."""
    shape = layout(ProcessInstance)
    found = await running.views.load(shape, [f"{process}/{key}"])
    return shape.unpack(found[0]) if found else None


async def sent_by(running: Running) -> list[tuple[str, str]]:
    """Return the ids of the commands that were sent, and what they are, in the order of the log."""
    events = await running.log.read()
    found = [reader(CommandSent, 1)(each.data) for each in events if each.type == CommandSent.message_name]
    return [(each.id, each.command) for each in found]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


class ProcessCases:
    """A suite for databases that are named by a fixture ``settings``; the next run finds in them what the last one left."""

    def test_what_follows_from_an_event_is_recorded_once(self, settings: Settings) -> None:
        """The state, what is waited for and the checkpoint are in one transaction; after a restart nothing is done again."""

        async def scenario() -> None:
            async with shop.run(settings) as running:
                await running.send(Place(order="7", units=3))
                await at_rest(running)
                first = await sent_by(running)
                assert first[0] == ("Fulfilment/order:7/1/0", "Reserve")
                row = await instance_of(running, "order:7")
                assert row is not None
                state = msgspec.json.decode(row.state, type=Fulfilment)
                assert (row.process, row.version, state.units) == ("Fulfilment", 1, 3)
                assert row.started_us <= row.changed_us
            async with shop.run(settings) as running:
                await at_rest(running)
                assert await sent_by(running) == first

        run(scenario)
