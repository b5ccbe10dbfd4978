"""A garage whose mistakes need somebody who reads first, or a car that was there before: nothing made up finds them."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Context,
    Event,
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

CarId = Annotated[int, Tag("car")]


class Park(Command):
    car: CarId


class Leave(Command):
    car: CarId
    ticket: str


class Wash(Command):
    car: CarId


class Parked(Event):
    car: CarId
    ticket: str


class Left(Event):
    car: CarId


class Washed(Event):
    car: CarId


class Refused(Rejected):
    """The car is in, or the ticket is another one."""


class Car(Aggregate, key=CarId):
    ticket: str = ""
    times_left: int = 0

    @decide
    def park(self, command: Park, context: Context) -> Iterator[Parked]:
        if self.ticket:
            raise Refused
        yield Parked(car=command.car, ticket=context.new_id())

    @decide
    def leave(self, command: Leave) -> Iterator[Left]:
        if not self.ticket or command.ticket != self.ticket:
            raise Refused
        yield Left(car=command.car)

    @decide
    def wash(self, command: Wash) -> Iterator[Washed]:
        if self.ticket == "season":
            raise LookupError(self.ticket)
        yield Washed(car=command.car)

    @evolve
    def parked(self, event: Parked) -> Self:
        return replace(self, ticket=event.ticket)

    @evolve
    def left(self, event: Left) -> Self:
        return replace(self, times_left=self.times_left + 1)

    @evolve
    def washed(self, event: Washed) -> Self:
        return self


class Place(View, key=CarId):
    ticket: str = ""

    @evolve
    def parked(self, event: Parked) -> Self:
        return replace(self, ticket=event.ticket)


class PlaceOf(Query[Place | None]):
    car: CarId


@answer
async def place_of(query: PlaceOf, views: Views) -> Place | None:
    return await views.get(Place, query.car)


garage = Service("garage", aggregates=[Car], views=[Place], queries=[place_of])
