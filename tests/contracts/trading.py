"""Sales and a stock that know each other, as they were, and as code that was changed since has them."""

import sys
import types
from typing import Any

import msgspec

from twofold.contracts import Break, breaks, contract
from twofold.messages import encode

SOURCE = """
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal, Self

import msgspec
from twofold import Aggregate, Command, Event, Meta, Rejected, Service, Tag, decide, evolve, replace
from twofold.messages import upcast

ItemId = Annotated[str, Tag("item")]
OrderId = Annotated[str, Tag("order")]


class Slip(msgspec.Struct, frozen=True):
    shelf: Annotated[str, Meta(max_length=5)]
    place: int = 0


class Add(Command):
    item: ItemId
    units: Annotated[int, Meta(gt=0, le=100)]
    kind: Literal["new", "used"] = "new"


class Reserve(Command):
    item: ItemId
    order: OrderId
    units: int | None = None
    due: datetime | None = None


class Added(Event):
    item: ItemId
    units: int


class Reserved(Event):
    item: ItemId
    order: OrderId
    units: Annotated[int, Meta(ge=1)]
    status: Literal["whole", "part"] = "whole"
    slips: tuple[Slip, ...] = ()


class Emptied(Event):
    item: ItemId
    code: Annotated[str, Meta(pattern="^[A-Z]{9}$")]


class OutOfStock(Rejected):
    "There is not so much of it."


class Unknown(Rejected):
    "There never was any of it."


class Item(Aggregate, key=ItemId):
    units: int = 0

    @decide
    def add(self, command: Add) -> Iterator[Added]:
        yield Added(item=command.item, units=command.units)

    @decide
    def reserve(self, command: Reserve) -> Iterator[Reserved | Emptied]:
        self.check(command.units or 1)
        yield Reserved(item=command.item, order=command.order, units=command.units or 1, slips=(Slip("A1"),))
        if self.units == command.units:
            yield Emptied(item=command.item, code="ABCDEFGHI")

    def check(self, units):
        if not self.units:
            raise Unknown
        if units > self.units:
            raise OutOfStock(self.units)

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, units=self.units + event.units)

    @evolve
    def reserved(self, event: Reserved) -> Self:
        return replace(self, units=self.units - event.units)

    @evolve
    def emptied(self, event: Emptied) -> Self:
        return self


stock = Service("stock", aggregates=[Item], publishes=[Reserved, Emptied], takes_commands_from=["sales"])


class ToReserve(Command, name="Reserve", service="stock"):
    item: ItemId
    order: OrderId
    units: int


class GoodsReserved(Event, name="Reserved", source="stock"):
    order: OrderId
    units: int


sales = Service("sales", sends=[ToReserve], subscribes=[GoodsReserved])
"""


def loaded(*changes: tuple[str, str]) -> Any:
    """Return the module as code has it in which texts were replaced by others, wherever they stand."""
    source = SOURCE
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    module = types.ModuleType("trading")
    sys.modules["trading"] = module
    exec(source, vars(module))  # noqa: S102 -- it is the source above, changed
    return module


def contract_of(*services: Any) -> Any:
    """Return a contract as it is read from a file."""
    return msgspec.json.decode(encode(contract([each.declaration for each in services])))


def broken(*changes: tuple[str, str]) -> list[Break]:
    """Return what a change of the code breaks of both."""
    before = loaded()
    old = contract_of(before.sales, before.stock)
    now = loaded(*changes)
    return breaks(old, [now.sales.declaration, now.stock.declaration])
