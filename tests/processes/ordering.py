"""Sales, which reserve of the stock next door; and what both are together."""

from typing import Annotated

from tests.processes.reserving import stock
from twofold import Command, Rejected, Service, System, Tag

ItemId = Annotated[str, Tag("item")]


class OutOfStock(Rejected):
    """The stock has not so much of it."""


class Reserve(Command, service="stock", rejections=(OutOfStock,)):
    """Of the stock's command it gives what it has."""

    item: ItemId
    order: str
    units: int


class Spoil(Command, service="stock"):
    item: ItemId


class Look(Command, service="stock"):
    item: ItemId


sales = Service("sales", sends=[Reserve, Spoil, Look])
both = System(sales, stock)
