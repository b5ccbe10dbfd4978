"""Refusals of what a process sends: they are outcomes, and what nobody has thought of is told to somebody."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

import pytest

from tests.support.process_cases import at_rest, instances, parked, sent
from tests.support.waiting import until
from twofold import (
    Aggregate,
    Command,
    Compensate,
    Compensated,
    End,
    Event,
    Process,
    Rejected,
    Service,
    Step,
    Tag,
    compensate,
    decide,
    end,
    evolve,
    react,
    replace,
    step,
)
from twofold.followers import parking
from twofold.operations.waves import cause
from twofold.service import Running
from twofold.testing import running

DoorId = Annotated[str, Tag("door")]


class Knock(Command):
    door: DoorId


class Leave(Command):
    door: DoorId


class Jam(Command):
    door: DoorId
    jammed: bool = True


class Open(Command):
    door: DoorId


class Shut(Command):
    door: DoorId


class Greet(Command):
    door: DoorId


class Knocked(Event):
    door: DoorId


class Left(Event):
    door: DoorId


class Jammed(Event):
    door: DoorId
    jammed: bool


class Opened(Event):
    door: DoorId


class IsJammed(Rejected):
    """The door is jammed."""


class Mute(Rejected):
    """Nobody says anything."""


class Door(Aggregate, key=DoorId):
    jammed: bool = False

    @decide
    def knock(self, command: Knock) -> Iterator[Knocked]:
        yield Knocked(door=command.door)

    @decide
    def leave(self, command: Leave) -> Iterator[Left]:
        yield Left(door=command.door)

    @decide
    def jam(self, command: Jam) -> Iterator[Jammed]:
        yield Jammed(door=command.door, jammed=command.jammed)

    @decide
    def open(self, command: Open) -> Iterator[Opened]:
        yield Opened(door=command.door)

    @decide
    def shut(self, command: Shut) -> Iterator[Left]:
        if self.jammed:
            raise IsJammed(command.door)
        yield from ()

    @decide
    def greet(self, command: Greet) -> Iterator[Left]:
        raise Mute
        yield

    @evolve
    def jammed_by(self, event: Jammed) -> Self:
        return replace(self, jammed=event.jammed)

    @evolve
    def other(self, event: Knocked | Left | Opened) -> Self:
        return self


class Visit(Process, key=DoorId, start="first", missing="ignore", ended="ignore"):
    @react(starts=True)
    def begin(self, event: Knocked) -> Iterator[Step[Open, Shut] | Greet]:
        yield step(Open(door=event.door), undo=Shut(door=event.door))
        yield Greet(door=event.door)

    @react
    def left(self, event: Left) -> Iterator[Compensate]:
        yield compensate()

    @react
    def over(self, event: Compensated) -> Iterator[End]:
        yield end()


house = Service("house", aggregates=[Door], processes=[Visit])


async def is_over(started: Running) -> bool:
    return (await instances(started, "Visit/door:front"))[0].status == "ended"


def test_an_undoing_that_is_refused_waits_for_somebody_and_is_sent_again(tmp_path: Path) -> None:
    """It is parked with what to do, as long as nobody does it; a retry sends it under an id of its own."""

    async def retried(started: Running) -> None:
        assert await parking.request_retry(started.views, "process:Visit", ["door:front"]) == 1
        known = len(await sent(started.log))

        async def is_sent_again() -> bool:
            return len(await sent(started.log)) > known

        await until(is_sent_again)
        await at_rest(started)

    async def scenario() -> None:
        async with running(house, tmp_path) as started:
            await started.send(Knock(door="front"))
            await started.send(Jam(door="front"))
            await at_rest(started)
            await started.send(Leave(door="front"))
            await at_rest(started)
            (stuck,) = await parked(started)
            assert stuck.key == "door:front"
            assert "undoes what it did, and its Shut was refused: IsJammed (The door is jammed. (front))" in stuck.error
            assert "@react def …(self, outcome: Refused[Shut])" in stuck.error
            assert cause(stuck.error).startswith("Unrecoverable: … undoes"), "all that fail so are one group"
            await retried(started)
            assert len(await parked(started)) == 1
            await started.send(Jam(door="front", jammed=False))
            await at_rest(started)
            await retried(started)
            await until(lambda: is_over(started))
            assert await parked(started) == []
            shut = [id for id, command in await sent(started.log) if command == "Shut"]
            assert len({*shut}) == len(shut) == 3

    asyncio.run(scenario())


def test_a_refusal_that_the_process_is_not_told_of_is_told_to_somebody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing follows from it, and the instance goes on."""
    caplog.set_level(logging.WARNING, "twofold.processes")

    async def scenario() -> None:
        async with running(house, tmp_path) as started:
            await started.send(Knock(door="front"))
            await at_rest(started)
            (row,) = await instances(started, "Visit/door:front")
            assert row.status == "running"
            assert not row.waiting.sent

    asyncio.run(scenario())
    (told,) = [each.message for each in caplog.records if each.name == "twofold.processes"]
    assert told == (
        "Visit/door:front has sent Greet, which was refused: Mute (Nobody says anything.). Nothing in the process is for "
        "that: write @react def …(self, outcome: Refused[Greet])."
    )
