"""A stock of which others reserve."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Context, Event, Meta, Rejected, Service, Tag, decide, evolve, replace

ItemId = Annotated[str, Tag("item")]
OrderId = Annotated[str, Tag("order")]


class Add(Command):
    item: ItemId
    units: int


class Reserve(Command):
    item: ItemId
    order: OrderId
    units: Annotated[int, Meta(gt=0)] = 1
    note: str = ""


class Spoil(Command):
    item: ItemId


class Break(Command):
    item: ItemId


class Look(Command):
    item: ItemId


class Added(Event):
    item: ItemId
    units: int


class Reserved(Event):
    item: ItemId
    order: OrderId
    units: int
    slip: str
    at_us: int


class OutOfStock(Rejected):
    """There is not so much of it."""


class Spoiled(Rejected):
    """It has gone bad."""


class Item(Aggregate, key=ItemId):
    units: int = 0

    @decide
    def add(self, command: Add) -> Iterator[Added]:
        yield Added(item=command.item, units=command.units)

    @decide
    def reserve(self, command: Reserve, context: Context) -> Iterator[Reserved]:
        if command.units > self.units:
            raise OutOfStock(self.units)
        slip, at_us = context.new_id(), context.now_us
        yield Reserved(item=command.item, order=command.order, units=command.units, slip=slip, at_us=at_us)

    @decide
    def spoil(self, command: Spoil) -> Iterator[Added]:
        raise Spoiled({self.key}, 1j, "a\0b")

    @decide
    def look(self, command: Look) -> Iterator[Added]:
        return iter(())

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, units=self.units + event.units)

    @evolve
    def reserved(self, event: Reserved) -> Self:
        return replace(self, units=self.units - event.units)


@decide
def break_(command: Break, item: Item) -> Iterator[Added]:
    raise RuntimeError("this decision is broken")


stock = Service("stock", aggregates=[Item], takes_commands_from=["sales"])
fragile = Service("stock", aggregates=[Item], decisions=[break_], takes_commands_from=["sales"])
