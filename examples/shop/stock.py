"""Stock: what is written off, and the units of each stock code. It hears of goods that sales sold or took back.

What it can promise to orders is on its `shelves`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self

import msgspec

from examples.shop.shelves import OnShelf, Released, Reserved, Shelf, StockCode, release, reserve, shelves
from twofold import (
    Aggregate,
    Command,
    Event,
    Index,
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
    project,
    replace,
)
from twofold.views import Transaction

Moment = Annotated[datetime, Meta(tz=True, examples=["2010-12-01T08:26:00Z"])]
DocumentNumber = Annotated[str, Tag("document"), Meta(pattern="^[A-Z]?[0-9]{1,12}$", examples=["536589"])]

CHARGES = {"POST", "DOT", "M", "D", "S", "C2", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS", "B"}
"""Stock codes of postage, fees, discounts and corrections: they move money, and nothing in the warehouse."""


class WriteOffStock(Command):
    "Goods are damaged, lost or found not to be there."

    number: DocumentNumber
    written_off_at: Moment
    country: Annotated[str, Meta(min_length=1, max_length=60)]
    stock_code: StockCode
    units: Annotated[int, Meta(gt=0, le=100_000)]
    description: Annotated[str, Meta(max_length=200)] = ""


class StockWrittenOff(Event):
    number: DocumentNumber
    written_off_at: Moment
    month: str
    country: str
    stock_code: StockCode
    units: int
    description: str


class AlreadyWrittenOff(Rejected):
    "A write-off with this number was recorded before; it counts once."


class NotInStock(Rejected):
    "This stock code is a charge: there is nothing to write off."


class WriteOff(Aggregate, key=DocumentNumber):
    recorded: bool = False

    @decide
    def write_off(self, command: WriteOffStock) -> Iterator[StockWrittenOff]:
        if self.recorded:
            raise AlreadyWrittenOff(command.number)
        if command.stock_code in CHARGES:
            raise NotInStock(command.stock_code)
        yield StockWrittenOff(
            number=command.number,
            written_off_at=command.written_off_at,
            month=f"{command.written_off_at:%Y-%m}",
            country=command.country,
            stock_code=command.stock_code,
            units=command.units,
            description=command.description,
        )

    @evolve
    def was_written_off(self, event: StockWrittenOff) -> Self:
        return replace(self, recorded=True)


# What stock reads of the documents that sales publishes.


class Line(msgspec.Struct, frozen=True):
    stock_code: str
    quantity: int


class InvoiceIssued(Event, source="sales"):
    lines: tuple[Line, ...]


class CreditNoteIssued(Event, source="sales"):
    lines: tuple[Line, ...]


class Units(View, key=StockCode):
    """The units of a stock code that have gone: sold, less taken back, less written off, as the wholesaler counts them."""

    sold: int = 0
    returned: int = 0
    written_off: int = 0
    net: Annotated[int, Index] = 0


@project(Units)
async def count_units(event: InvoiceIssued | CreditNoteIssued | StockWrittenOff, rows: Transaction) -> None:
    """One event moves many stock codes, some of them in several of its lines: more than a fold of one row can say."""
    match event:
        case InvoiceIssued(lines=lines):
            for line in lines:
                await move(rows, line.stock_code, sold=line.quantity)
        case CreditNoteIssued(lines=lines):
            for line in lines:
                await move(rows, line.stock_code, returned=line.quantity)
        case StockWrittenOff():
            await move(rows, event.stock_code, written_off=event.units)


async def move(rows: Transaction, stock_code: str, *, sold: int = 0, returned: int = 0, written_off: int = 0) -> None:
    if stock_code in CHARGES:
        return
    units = await rows.get(Units, stock_code)
    rows.put(
        replace(
            units,
            sold=units.sold + sold,
            returned=units.returned + returned,
            written_off=units.written_off + written_off,
            net=units.net + sold - returned - written_off,
        )
    )


class UnitsOf(Query[Units | None]):
    stock_code: StockCode


class MostSold(Query[list[Units]]):
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 10


@answer
async def units_of(query: UnitsOf, views: Views) -> Units | None:
    return await views.get(Units, query.stock_code)


@answer
async def most_sold(query: MostSold, views: Views) -> list[Units]:
    return (await views.find(Units, order_by=Units.c.net.desc(), limit=query.limit)).rows


stock = Service(
    "stock",
    aggregates=[WriteOff, Shelf],
    decisions=[reserve, release],
    views=[OnShelf],
    projections=[count_units],
    queries=[units_of, most_sold, shelves],
    publishes=[StockWrittenOff, Reserved, Released],
    subscribes=[InvoiceIssued, CreditNoteIssued],
    takes_commands_from=["sales"],
)
