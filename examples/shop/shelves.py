"""Shelves: the units that stock can promise to orders. What is reserved for one of them is not there for another."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Event,
    Meta,
    Query,
    Rejected,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    replace,
)

OrderId = Annotated[str, Tag("order"), Meta(pattern="^[A-Za-z0-9-]{1,40}$", examples=["order-17"])]
StockCode = Annotated[str, Tag("stock_code"), Meta(pattern="^[0-9A-Za-z_ ]{1,20}$", examples=["85123A"])]
Quantity = Annotated[int, Meta(gt=0, le=100_000)]


class Restock(Command):
    "Goods have come."

    stock_code: StockCode
    units: Quantity


class Reserve(Command):
    "Keep units for an order."

    order: OrderId
    stock_code: StockCode
    units: Quantity


class Release(Command):
    "Keep nothing for an order any more."

    order: OrderId


class Restocked(Event):
    stock_code: StockCode
    units: int


class Reserved(Event):
    order: OrderId
    stock_code: StockCode
    units: int


class Released(Event):
    order: OrderId
    stock_code: StockCode
    units: int


class OutOfStock(Rejected):
    "There are not so many units left."


class AlreadyReserved(Rejected):
    "Units are reserved for an order once."


class Shelf(Aggregate, key=StockCode):
    units: int = 0

    @decide
    def restock(self, command: Restock) -> Iterator[Restocked]:
        yield Restocked(stock_code=command.stock_code, units=command.units)

    @evolve
    def put_back(self, event: Restocked | Released) -> Self:
        return replace(self, units=self.units + event.units)

    @evolve
    def reserved(self, event: Reserved) -> Self:
        return replace(self, units=self.units - event.units)


class Reservation(Aggregate, key=OrderId):
    stock_code: str = ""
    units: int = 0

    @evolve
    def reserved(self, event: Reserved) -> Self:
        return replace(self, stock_code=event.stock_code, units=event.units)

    @evolve
    def released(self, event: Released) -> Self:
        return replace(self, units=0)


@decide
def reserve(command: Reserve, shelf: Shelf, reservation: Reservation) -> Iterator[Reserved]:
    """Whatever else is reserved meanwhile, a shelf never promises what it has not."""
    if reservation.stock_code:
        raise AlreadyReserved(command.order)
    if command.units > shelf.units:
        raise OutOfStock(shelf.units)
    yield Reserved(order=command.order, stock_code=command.stock_code, units=command.units)


@decide
def release(command: Release, reservation: Reservation) -> Iterator[Released]:
    """What is undone may have been undone before, and needs no second time."""
    if reservation.units:
        yield Released(order=command.order, stock_code=reservation.stock_code, units=reservation.units)


class OnShelf(View, key=StockCode):
    """The units of a stock code that came, and those that are left for other orders."""

    came: int = 0
    left: int = 0

    @evolve
    def restocked(self, event: Restocked) -> Self:
        return replace(self, came=self.came + event.units, left=self.left + event.units)

    @evolve
    def reserved(self, event: Reserved) -> Self:
        return replace(self, left=self.left - event.units)

    @evolve
    def released(self, event: Released) -> Self:
        return replace(self, left=self.left + event.units)


class Shelves(Query[list[OnShelf]]):
    pass


@answer
async def shelves(query: Shelves, views: Views) -> list[OnShelf]:
    return (await views.find(OnShelf, limit=10_000)).rows
