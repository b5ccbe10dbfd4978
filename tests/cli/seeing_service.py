"""A service that waits: for the stock next door, for a payment, and for mails that fail until the file ``mended`` is there."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Self

from twofold import (
    Accepted,
    Aggregate,
    Command,
    End,
    Event,
    Later,
    Process,
    Refused,
    Rejected,
    Service,
    System,
    Tag,
    Timer,
    after,
    decide,
    end,
    every,
    evolve,
    handle,
    react,
    replace,
)
from twofold.errors import Unrecoverable
from twofold.processes import Tick

CURSED, AWAY, UNLUCKY = 7, 12, 13


def is_mended() -> bool:
    return Path("mended").exists()


OrderId = Annotated[str, Tag("order")]


class Place(Command):
    order: OrderId
    units: int = 1


class Pack(Command):
    order: OrderId
    units: int


class Reserve(Command, service="stock"):
    order: OrderId


class Placed(Event):
    order: OrderId
    units: int


class Packed(Event):
    order: OrderId


class TooMuch(Rejected):
    """It does not fit into a box."""


class Order(Aggregate, key=OrderId):
    units: int = 0

    @decide
    def place(self, command: Place) -> Iterator[Placed]:
        yield Placed(order=command.order, units=command.units)

    @decide
    def pack(self, command: Pack) -> Iterator[Packed]:
        if command.units == CURSED and not is_mended():
            raise RuntimeError("7 is cursed")
        if command.units > 10:
            raise TooMuch(command.units)
        yield Packed(order=command.order)

    @evolve
    def placed(self, event: Placed) -> Self:
        return replace(self, units=event.units)

    @evolve
    def packed(self, event: Packed) -> Self:
        return self


class Unpaid(Timer):
    order: OrderId


class Fulfilment(Process, key=OrderId, start="first", missing="ignore", ended="ignore"):
    status: str = "new"

    @react(starts=True)
    def begin(self, event: Placed) -> Iterator[Pack | Later[Unpaid]]:
        if event.units < 0:
            raise ValueError("nobody orders less than nothing")
        yield Pack(order=event.order, units=event.units)
        yield after(Unpaid(order=event.order), minutes=30)

    @evolve
    def was_packed(self, outcome: Accepted[Pack]) -> Self:
        return replace(self, status="packed")

    @react
    def reserve(self, outcome: Accepted[Pack]) -> Iterator[Reserve]:
        yield Reserve(order=outcome.command.order)

    @react
    def give_up(self, outcome: Refused[Pack]) -> Iterator[End]:
        yield end()

    @react
    def late(self, timer: Unpaid) -> Iterator[End]:
        yield end()

    @react
    def done(self, outcome: Accepted[Reserve]) -> Iterator[End]:
        yield end()


class Mailer:
    """Writes mails to a file of the current folder."""

    def send(self, order: str, units: int) -> None:
        if units == AWAY and not is_mended():
            raise ConnectionError("nobody answers")
        if units == UNLUCKY and not is_mended():
            raise Unrecoverable("13 is unlucky")
        with Path("mails").open("a") as mails:
            mails.write(f"{order}: {units}\n")


@asynccontextmanager
async def open_mailer() -> AsyncIterator[Mailer]:
    yield Mailer()


@handle(start="first")
async def welcome(event: Placed, mailer: Mailer) -> None:
    mailer.send(event.order, event.units)


@every("0 2 * * *", zone="Europe/Berlin", missed="one")
def nightly(tick: Tick) -> Iterator[Place]:
    yield Place(order=tick.at.date().isoformat())


sales = Service(
    "sales",
    aggregates=[Order],
    processes=[Fulfilment],
    handlers=[welcome],
    schedules=[nightly],
    resources={Mailer: open_mailer},
)


class StockReserve(Command, name="Reserve"):
    order: OrderId


class Reserved(Event):
    order: OrderId


class Shelf(Aggregate, key=OrderId):
    @decide
    def reserve(self, command: StockReserve) -> Iterator[Reserved]:
        yield Reserved(order=command.order)

    @evolve
    def reserved(self, event: Reserved) -> Self:
        return self


stock = Service("stock", aggregates=[Shelf], takes_commands_from=["sales"])
both = System(sales, stock)
