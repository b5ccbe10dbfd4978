"""A shop in one service: an order is reserved, then paid, then shipped; what cannot be seen through is undone."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Accepted,
    Aggregate,
    Cancel,
    Command,
    Compensate,
    Compensated,
    End,
    Event,
    Later,
    Process,
    Refused,
    Rejected,
    Service,
    Step,
    Tag,
    Timer,
    after,
    cancel,
    compensate,
    decide,
    end,
    evolve,
    react,
    replace,
    step,
)

OrderId = Annotated[str, Tag("order")]


class Place(Command):
    order: OrderId
    units: int = 1


class CancelOrder(Command):
    order: OrderId


class Close(Command):
    order: OrderId
    status: str


class Reserve(Command):
    order: OrderId
    units: int


class Release(Command):
    order: OrderId
    units: int


class Charge(Command):
    order: OrderId
    cents: int


class Refund(Command):
    order: OrderId
    cents: int


class Ship(Command):
    order: OrderId


class Placed(Event):
    order: OrderId
    units: int


class Cancelled(Event):
    order: OrderId


class Closed(Event):
    order: OrderId
    status: str


class Reserved(Event):
    order: OrderId
    units: int


class Released(Event):
    order: OrderId
    units: int


class Charged(Event):
    order: OrderId
    cents: int


class Refunded(Event):
    order: OrderId
    cents: int


class Shipped(Event):
    order: OrderId


class OutOfStock(Rejected):
    """There is not so much of it."""


class CardDeclined(Rejected):
    """The card was declined."""


class NotThere(Rejected):
    """It is not there to be given back."""


class OrderOver(Rejected):
    """The order is over."""


class Order(Aggregate, key=OrderId):
    units: int = 0
    status: str = ""

    @decide
    def place(self, command: Place) -> Iterator[Placed]:
        yield Placed(order=command.order, units=command.units)

    @decide
    def cancel(self, command: CancelOrder) -> Iterator[Cancelled]:
        if self.status:
            raise OrderOver(self.status)
        yield Cancelled(order=command.order)

    @decide
    def close(self, command: Close) -> Iterator[Closed]:
        if self.status:
            raise OrderOver(self.status)
        yield Closed(order=command.order, status=command.status)

    @evolve
    def placed(self, event: Placed) -> Self:
        return replace(self, units=event.units)

    @evolve
    def cancelled(self, event: Cancelled) -> Self:
        return self

    @evolve
    def closed(self, event: Closed) -> Self:
        return replace(self, status=event.status)


class Goods(Aggregate, key=OrderId):
    reserved: int = 0
    paid: int = 0

    @decide
    def reserve(self, command: Reserve) -> Iterator[Reserved]:
        if command.units > 10:
            raise OutOfStock(command.units)
        yield Reserved(order=command.order, units=command.units)

    @decide
    def release(self, command: Release) -> Iterator[Released]:
        if self.reserved < command.units:
            raise NotThere(self.reserved)
        yield Released(order=command.order, units=command.units)

    @decide
    def charge(self, command: Charge) -> Iterator[Charged]:
        if command.cents == 700:
            raise CardDeclined
        yield Charged(order=command.order, cents=command.cents)

    @decide
    def refund(self, command: Refund) -> Iterator[Refunded]:
        if self.paid < command.cents:
            raise NotThere(self.paid)
        yield Refunded(order=command.order, cents=command.cents)

    @decide
    def ship(self, command: Ship) -> Iterator[Shipped]:
        yield Shipped(order=command.order)

    @evolve
    def were_reserved(self, event: Reserved) -> Self:
        return replace(self, reserved=self.reserved + event.units)

    @evolve
    def were_released(self, event: Released) -> Self:
        return replace(self, reserved=self.reserved - event.units)

    @evolve
    def were_charged(self, event: Charged) -> Self:
        return replace(self, paid=self.paid + event.cents)

    @evolve
    def were_refunded(self, event: Refunded) -> Self:
        return replace(self, paid=self.paid - event.cents)

    @evolve
    def were_shipped(self, event: Shipped) -> Self:
        return self


class PaymentDeadline(Timer):
    order: OrderId


class Fulfilment(Process, key=OrderId, start="first", missing="ignore", ended="ignore"):
    units: int = 0
    status: str = "new"

    @evolve
    def placed(self, event: Placed) -> Self:
        return replace(self, units=event.units)

    @react(starts=True)
    def begin(self, event: Placed) -> Iterator[Step[Reserve, Release] | Later[PaymentDeadline]]:
        yield step(Reserve(order=event.order, units=event.units), undo=Release(order=event.order, units=event.units))
        yield after(PaymentDeadline(order=event.order), minutes=30)

    @react
    def reserved(self, outcome: Accepted[Reserve]) -> Iterator[Step[Charge, Refund]]:
        cents = 100 * outcome.command.units
        order = outcome.command.order
        yield step(Charge(order=order, cents=cents), undo=Refund(order=order, cents=cents))

    @react
    def none_left(self, outcome: Refused[Reserve]) -> Iterator[Close | End]:
        yield Close(order=outcome.command.order, status="out of stock")
        yield end()

    @evolve
    def charged(self, outcome: Accepted[Charge]) -> Self:
        return replace(self, status="paid")

    @react
    def paid(self, outcome: Accepted[Charge]) -> Iterator[Ship | Cancel]:
        yield cancel(PaymentDeadline)
        yield Ship(order=outcome.command.order)

    @react
    def declined(self, outcome: Refused[Charge]) -> Iterator[Compensate]:
        yield compensate()

    @react
    def late(self, timer: PaymentDeadline) -> Iterator[Compensate]:
        if self.status == "new":
            yield compensate()

    @react
    def cancelled(self, event: Cancelled) -> Iterator[Compensate]:
        yield compensate()

    @react
    def shipped(self, event: Shipped) -> Iterator[Close | End]:
        yield Close(order=event.order, status="shipped")
        yield end()

    @react
    def undone(self, event: Compensated) -> Iterator[Close | End]:
        yield Close(order=self.key, status="undone")
        yield end()


shop = Service("shop", aggregates=[Order, Goods], processes=[Fulfilment])
