"""Two services that can run in processes of their own: one tells of sales, one hears of them."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Event,
    Query,
    Service,
    System,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    replace,
)

ItemId = Annotated[str, Tag("item")]


class Sell(Command):
    item: ItemId
    units: int = 1


class Count(Command):
    """Look at the shelf, and tell nobody."""

    item: ItemId


class Sold(Event):
    item: ItemId
    units: int


class Counted(Event):
    item: ItemId


class Shelf(Aggregate, key=ItemId):
    @decide
    def sell(self, command: Sell) -> Iterator[Sold]:
        yield Sold(item=command.item, units=command.units)

    @decide
    def count(self, command: Count) -> Iterator[Counted]:
        yield Counted(item=command.item)

    @evolve
    def sold(self, event: Sold) -> Self:
        return self

    @evolve
    def counted(self, event: Counted) -> Self:
        return self


class SoldAtTill(Event, name="Sold", source="till"):
    item: ItemId
    units: int


class Demand(View, key=ItemId):
    sales: int = 0
    units: int = 0

    @evolve
    def sold(self, event: SoldAtTill) -> Self:
        return replace(self, sales=self.sales + 1, units=self.units + event.units)


class DemandFor(Query[Demand | None]):
    item: str


@answer
async def demand_for(query: DemandFor, views: Views) -> Demand | None:
    return await views.get(Demand, query.item)


till = Service("till", aggregates=[Shelf], publishes=[Sold])
buying = Service("buying", views=[Demand], queries=[demand_for], subscribes=[SoldAtTill])
both = System(till, buying)
