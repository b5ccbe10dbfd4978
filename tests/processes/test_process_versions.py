"""A process that is changed while instances are under way: they go on as they were, or are brought up to the new one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import pytest

from tests.support.process_cases import at_rest, instances, parked, sent
from tests.support.waiting import until
from twofold import (
    Accepted,
    Aggregate,
    Command,
    End,
    Event,
    Process,
    Service,
    Tag,
    decide,
    end,
    evolve,
    migrate,
    react,
    replace,
)
from twofold.followers import parking
from twofold.service import Running, Settings

TripId = Annotated[str, Tag("trip")]


class Book(Command):
    trip: TripId


class Leave(Command):
    trip: TripId


class Remind(Command):
    trip: TripId
    text: str = ""


class Thank(Command):
    trip: TripId


class Booked(Event):
    trip: TripId


class Left(Event):
    trip: TripId


class Reminded(Event):
    trip: TripId


class Trip(Aggregate, key=TripId):
    @decide
    def book(self, command: Book) -> Iterator[Booked]:
        yield Booked(trip=command.trip)

    @decide
    def leave(self, command: Leave) -> Iterator[Left]:
        yield Left(trip=command.trip)

    @decide
    def remind(self, command: Remind) -> Iterator[Reminded]:
        yield Reminded(trip=command.trip)

    @decide
    def thank(self, command: Thank) -> Iterator[Reminded]:
        yield Reminded(trip=command.trip)

    @evolve
    def changed(self, event: Booked | Left | Reminded) -> Self:
        return self


class First(Process, name="Travel", key=TripId, start="first", missing="ignore", ended="ignore"):
    reminded: bool = False

    @react(starts=True)
    def booked(self, event: Booked) -> Iterator[Remind]:
        yield Remind(trip=event.trip, text="first")

    @evolve
    def done(self, outcome: Accepted[Remind]) -> Self:
        return replace(self, reminded=True)

    @react
    def left(self, event: Left) -> Iterator[Remind | End]:
        yield Remind(trip=event.trip, text=f"first, {self.reminded}")
        yield end()


class Second(Process, name="Travel", version=2, key=TripId, start="first", missing="ignore", ended="ignore"):
    reminders: int = 0

    @react(starts=True)
    def booked(self, event: Booked) -> Iterator[Remind]:
        yield Remind(trip=event.trip, text="second")

    @evolve
    def done(self, outcome: Accepted[Remind]) -> Self:
        return replace(self, reminders=self.reminders + 1)

    @react
    def left(self, event: Left) -> Iterator[Remind | End]:
        yield Remind(trip=event.trip, text=f"second, {self.reminders}")
        yield end()


class Third(Second, name="Travel", version=3, key=TripId, start="first", missing="ignore", ended="ignore"):
    @migrate(1)
    def counted(state: dict[str, Any]) -> dict[str, Any]:
        return {"key": state["key"], "reminders": int(state["reminded"])}

    @migrate(2)
    def unchanged(state: dict[str, Any]) -> dict[str, Any]:
        return state


class Reshaped(Process, name="Travel", key=TripId, start="first", missing="ignore", ended="ignore"):
    reminded: list[str] = []

    @react(starts=True)
    def booked(self, event: Booked) -> Iterator[Remind]:
        yield Remind(trip=event.trip)

    @react
    def left(self, event: Left) -> Iterator[End]:
        yield end()


def travel(*processes: type[Process]) -> Service:
    return Service("travel", aggregates=[Trip], processes=processes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(log=f"sqlite:///{tmp_path}/travel.db", views=f"sqlite:///{tmp_path}/views.db")


async def texts(running: Running) -> list[str]:
    """Return what was reminded of, by the order of the log."""
    return [
        msgspec.json.decode(each.data)["data"]["text"]
        for each in await running.log.read()
        if each.type == "twofold.CommandSent"
    ]


async def is_free(running: Running) -> bool:
    return not await parked(running)


async def begun_by(process: type[Process], settings: Settings) -> None:
    """Have an instance begun by a version."""
    async with travel(process).run(settings) as running:
        await running.send(Book(trip="a"))
        await at_rest(running)


def test_an_instance_goes_on_by_the_class_that_began_it(settings: Settings) -> None:
    """It is listed beside the new one, which begins all that come later; both are one process, with one checkpoint."""

    async def scenario() -> None:
        await begun_by(First, settings)
        async with travel(Second, First).run(settings) as running:
            await running.send(Book(trip="b"))
            await at_rest(running)
            await running.send(Leave(trip="a"))
            await running.send(Leave(trip="b"))
            await at_rest(running)
            assert sorted(await texts(running)) == ["first", "first, True", "second", "second, 1"]
            rows = await instances(running, "Travel/trip:a", "Travel/trip:b")
            assert [(each.version, each.status) for each in rows] == [(1, "ended"), (2, "ended")]
            assert {each.follower for each in await running.progress()} == {"process:Travel", "commands", "timers"}

    asyncio.run(scenario())


def test_an_instance_is_brought_up_to_the_new_class_step_by_step(settings: Settings) -> None:
    """From then on it is of the new version."""

    async def scenario() -> None:
        await begun_by(First, settings)
        async with travel(Third).run(settings) as running:
            await running.send(Leave(trip="a"))
            await at_rest(running)
            assert await texts(running) == ["first", "second, 1"]
            assert [each.version for each in await instances(running, "Travel/trip:a")] == [3]

    asyncio.run(scenario())


def test_an_instance_of_a_version_that_is_gone_is_parked_and_both_cures_help(settings: Settings) -> None:
    """Its events wait in order; those of others go on. The text says what can be done, and either is enough."""

    async def scenario() -> None:
        await begun_by(First, settings)
        async with travel(Second).run(settings) as running:
            await running.send(Leave(trip="a"))
            await running.send(Book(trip="b"))
            await at_rest(running)
            assert await texts(running) == ["first", "second"]
            (stuck,) = await parked(running)
            assert stuck.key == "trip:a"
            assert (
                "'Travel/trip:a' was begun by version 1 of its process, and this service has version 2" in stuck.error
            )
            assert "with name='Travel' and version=1" in stuck.error
            assert "or write @migrate(1) in" in stuck.error
        async with travel(Second, First).run(settings) as running:
            assert await parking.request_retry(running.views, "process:Travel", ["trip:a"]) == 1
            await until(lambda: is_free(running))
            await at_rest(running)
            assert (await texts(running))[-1] == "first, True"

    asyncio.run(scenario())


def test_what_only_an_earlier_version_hears_of_is_for_its_instances(settings: Settings) -> None:
    """Where there is none of these, it concerns nobody, however strict the latest version is about strays."""

    class Strict(Process, name="Travel", version=2, key=TripId, start="first", missing="park", ended="park"):
        @react(starts=True)
        def booked(self, event: Booked) -> Iterator[Remind]:
            yield Remind(trip=event.trip)

    async def scenario() -> None:
        await begun_by(First, settings)
        async with travel(Strict, First).run(settings) as running:
            for trip in ("a", "b"):
                await running.send(Leave(trip=trip))
            await at_rest(running)
            assert await parked(running) == []
            assert (await texts(running))[-1] == "first, True"

    asyncio.run(scenario())


def test_newer_code_is_waited_for(settings: Settings) -> None:
    """While it is being deployed, older code may meet what it has begun: nothing of that is given up."""

    async def scenario() -> None:
        await begun_by(Second, settings)
        async with travel(First).run(settings) as running:
            await running.send(Leave(trip="a"))
            await at_rest(running)
            (waiting,) = await parked(running)
            assert "newer code has begun it" in waiting.error
            assert waiting.retry_at_us > waiting.parked_at_us
            assert len(await sent(running.log)) == 1

    asyncio.run(scenario())


def test_a_changed_shape_without_a_version_is_parked(settings: Settings) -> None:
    """What is stored is not taken for something that it is not."""

    async def scenario() -> None:
        await begun_by(First, settings)
        async with travel(Reshaped).run(settings) as running:
            await running.send(Leave(trip="a"))
            await at_rest(running)
            (stuck,) = await parked(running)
            assert "The state of 'Travel/trip:a' does not fit" in stuck.error
            assert "version= one higher" in stuck.error

    asyncio.run(scenario())
