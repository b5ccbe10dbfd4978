"""Two services that hear of each other: a warehouse that ships, and an office that counts, and says what may be shipped."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Context,
    Event,
    Meta,
    Query,
    Rejected,
    Service,
    System,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    project,
    replace,
)
from twofold.views import Transaction

Sku = Annotated[str, Tag("sku")]
Place = Annotated[int, Tag("place")]


class Move(Command):
    sku: Sku
    source: Place
    target: Place
    units: Annotated[int, Meta(gt=0, le=5)]


class Stock(Command):
    sku: Sku
    place: Place
    units: Annotated[int, Meta(gt=0, le=9)]


class Stocked(Event):
    sku: Sku
    place: Place
    units: int
    at_us: int
    slip: str


class Moved(Event):
    sku: Sku
    source: Place
    target: Place
    units: int


class Short(Rejected):
    """There are not so many units in this place."""


class Shelf(Aggregate, key=Place):
    units: int = 0

    @decide
    def stock(self, command: Stock, context: Context) -> Iterator[Stocked]:
        yield Stocked(sku=command.sku, place=self.key, units=command.units, at_us=context.now_us, slip=context.new_id())

    @evolve
    def stocked(self, event: Stocked) -> Self:
        return replace(self, units=self.units + event.units)

    @evolve
    def moved(self, event: Moved) -> Self:
        return replace(self, units=self.units + event.units * ((self.key == event.target) - (self.key == event.source)))


@decide
def move(command: Move, source: Shelf, target: Shelf) -> Iterator[Moved]:
    if command.source == command.target:
        return
    if command.units > source.units:
        raise Short(source.units)
    yield Moved(sku=command.sku, source=source.key, target=target.key, units=command.units)


warehouse = Service("warehouse", aggregates=[Shelf], decisions=[move], publishes=[Stocked, Moved])


class WarehouseStocked(Event, name="Stocked", source="warehouse"):
    sku: Sku
    units: int


class Level(View, key=Sku):
    units: int = 0
    last: int = 0

    @evolve
    def stocked(self, event: WarehouseStocked) -> Self:
        return replace(self, units=self.units + event.units, last=event.units)


class Total(View, key=Place):
    units: int = 0


@project(Total)
async def count(event: WarehouseStocked, rows: Transaction) -> None:
    row = await rows.get(Total, event.units % 3)
    rows.put(replace(row, units=row.units + event.units))


class LevelOf(Query[Level | None]):
    sku: Sku


@answer
async def level_of(query: LevelOf, views: Views) -> Level | None:
    return await views.get(Level, query.sku)


office = Service("office", views=[Level], projections=[count], queries=[level_of], subscribes=[WarehouseStocked])

system = System(warehouse, office)
