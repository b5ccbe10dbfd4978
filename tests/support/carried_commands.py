"""What becomes of commands that are sent through the log: one suite for services on every database."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tests.processes.reserving import Add, Reserve, stock
from tests.support.waiting import until
from twofold import Command, Event
from twofold.followers import Parked, parking
from twofold.log import Criterion, RecordedEvent
from twofold.messages import Metadata, encode, reader
from twofold.processes import COMMANDS, CommandSettled, sent
from twofold.processes.recording import record
from twofold.service import Running, Settings

Places: TypeAlias = Callable[[str], Settings]
"""Returns where a service keeps what it has, by its name."""


async def recorded(running: Running, *kinds: type[Event]) -> list[RecordedEvent]:
    """Return the events of some types in a service's log."""
    return await running.log.read((Criterion(types=tuple([kind.message_name for kind in kinds])),), limit=100_000)


async def read_back(running: Running, kind: type[Event]) -> list[Any]:
    """Return the events of a type in a service's log as they are read."""
    return [reader(kind, each.version)(each.data) for each in await recorded(running, kind)]


async def settled(running: Running, count: int) -> list[CommandSettled]:
    """Return what became of commands, once so many are settled."""

    async def are() -> bool:
        return len(await recorded(running, CommandSettled)) >= count

    await until(are)
    return await read_back(running, CommandSettled)


async def send(running: Running, *commands: tuple[str, Command]) -> None:
    """Append commands as a process would, each under an id."""
    for id, command in commands:
        record_sent = sent(command, id, running.name)
        metadata = encode(Metadata(correlation="request-1", actor="ann"))
        await record(running.log, [record_sent], f"test/{id}", running.clock, metadata)


async def parked(running: Running, count: int) -> Sequence[Parked]:
    """Return what is parked of commands, once that is so much."""

    async def are() -> bool:
        return len(await parking.parked(running.views, COMMANDS)) >= count

    await until(are)
    return await parking.parked(running.views, COMMANDS)


class CarriedCommands:
    """A suite: a subclass has a fixture ``places``."""

    def test_a_command_in_the_log_is_decided_and_its_outcome_is_beside_its_events(self, places: Places) -> None:
        """The record of the outcome stands right behind the event, and both tell which command led to them."""

        async def scenario() -> None:
            async with stock.run(places("stock")) as running:
                await running.send(Add(item="tea", units=3))
                await send(running, ("c-1", Reserve(item="tea", order="o-1", units=2)))
                (outcome,) = await settled(running, 1)
                events = (await running.log.read())[-2:]
                assert [each.type for each in events] == ["Reserved", "twofold.CommandSettled"]
                assert [each.metadata.command for each in events] == ["c-1", "c-1"]
                assert {(each.metadata.correlation, each.metadata.actor) for each in events} == {("request-1", "ann")}
                assert (outcome.id, outcome.service, outcome.command, outcome.rejection) == (
                    "c-1",
                    "stock",
                    "Reserve",
                    "",
                )

        asyncio.run(scenario())
