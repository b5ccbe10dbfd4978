"""A service whose messages have fields of every kind, for what comes in from outside."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec

from twofold import (
    Aggregate,
    Command,
    Event,
    Meta,
    Query,
    Rejected,
    Service,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    replace,
)

ThingId = Annotated[str, Tag("thing")]


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a thing."""

    name: Annotated[str, Meta(min_length=1)]
    weight: Annotated[float, Meta(ge=0)] = 1.0
    parts: list["Part"] = []


class Make(Command):
    """Make a thing.

    It can have parts, and those have parts.
    """

    thing: ThingId
    count: int
    price: Decimal
    made_at: Annotated[datetime, Meta(tz=True)] | None = None
    best_before: date | None = None
    lasts: timedelta | None = None
    colour: Colour = Colour.RED
    size: Literal["s", "m", "l"] = "m"
    serial: UUID | None = None
    part: Part | None = None
    notes: dict[str, str] = {}
    extra: Any = None
    flags: tuple[bool, ...] = ()


class Break(Command):
    """Break a thing, by a decision whose code does not work."""

    thing: ThingId


class Refuse(Command):
    """Always refused."""

    thing: ThingId
    why: str = "it is Monday"


class Made(Event):
    thing: ThingId
    count: int


class Unmakeable(Rejected):
    """Such a thing cannot be made.

    Not on this day.
    """


class Thing(Aggregate, key=ThingId):
    made: int = 0

    @decide
    def make(self, command: Make) -> Iterator[Made]:
        yield Made(thing=command.thing, count=command.count % 1000)

    @decide
    def broken(self, command: Break) -> Iterator[Made]:
        raise ZeroDivisionError("the secret of the trace")
        yield

    @decide
    def refuse(self, command: Refuse) -> Iterator[Made]:
        raise Unmakeable(command.thing, {"why": command.why}, object)
        yield

    @evolve
    def was_made(self, event: Made) -> Self:
        return replace(self, made=self.made + event.count)


class Total(View, key=ThingId):
    made: int = 0

    @evolve
    def was_made(self, event: Made) -> Self:
        return replace(self, made=self.made + event.count)


class HowMany(Query[int]):
    """How many of a thing were made."""

    thing: str


class Things(Query[list[Total]]):
    keys: list[str] = []
    at_least: int = 0
    colour: Colour | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class Echo(Query[dict[str, str]]):
    part: Part
    text: str = ""


class Since(Query[datetime]):
    """The same moment, in UTC."""

    moment: Annotated[datetime, Meta(tz=True)]


class Trouble(Query[int]):
    """Asked for, it fails."""


@answer
async def how_many(query: HowMany, views: Views) -> int:
    row = await views.get(Total, query.thing)
    return 0 if row is None else row.made


@answer
async def things(query: Things, views: Views) -> list[Total]:
    conditions = [Total.c.key.in_(query.keys)] if query.keys else []
    page = await views.find(Total, Total.c.made >= query.at_least, *conditions, limit=query.limit)
    return page.rows


@answer
async def echo(query: Echo, views: Views) -> dict[str, str]:
    return {"text": query.text, "part": query.part.name}


@answer
async def since(query: Since, views: Views) -> datetime:
    return query.moment.astimezone(UTC)


@answer
async def trouble(query: Trouble, views: Views) -> int:
    raise ZeroDivisionError("the secret of the trace")


shapes = Service(
    "shapes", aggregates=[Thing], views=[Total], queries=[how_many, things, echo, since, trouble], publishes=[Made]
)
