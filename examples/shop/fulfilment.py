"""Fulfilment: orders on their way from being placed to being shipped, or back. Sales sees each of them through.

Stock reserves the goods, payments takes the money, and shipping sends the parcel. Beside each step stands what undoes it: when
something goes wrong, what was done is undone, the last of it first, and the order is cancelled for a reason.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from twofold import (
    Accepted,
    Aggregate,
    Cancel,
    Command,
    Compensate,
    Compensated,
    End,
    Event,
    Index,
    Later,
    Meta,
    Process,
    Query,
    Refused,
    Rejected,
    Step,
    Tag,
    Timer,
    View,
    Views,
    after,
    answer,
    cancel,
    compensate,
    decide,
    end,
    evolve,
    react,
    replace,
    step,
)
from twofold.queries import Page

OrderId = Annotated[str, Tag("order"), Meta(pattern="^[A-Za-z0-9-]{1,40}$", examples=["order-17"])]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Reason = Annotated[str, Meta(max_length=500)]


class PlaceOrder(Command):
    "A customer orders some units of one article, to be paid in time."

    order: OrderId
    stock_code: Annotated[str, Meta(pattern="^[0-9A-Za-z_ ]{1,20}$", examples=["85123A"])]
    units: Annotated[int, Meta(gt=0, le=100_000)]
    amount_mills: Annotated[int, Meta(gt=0, le=100_000_000_000, description="Thousandths of a pound.")]
    card: Name
    country: Name
    seconds_to_pay: Annotated[int, Meta(gt=0, le=2_592_000)]


class CancelOrder(Command):
    "The customer does not want it any more. What is being shipped comes all the same."

    order: OrderId


class CompleteOrder(Command):
    "All is done."

    order: OrderId


class GiveUpOrder(Command):
    "Nothing came of it, and all is undone."

    order: OrderId
    reason: Reason


class OrderPlaced(Event):
    order: OrderId
    stock_code: str
    units: int
    amount_mills: int
    card: str
    country: str
    seconds_to_pay: int


class CancellationAsked(Event):
    order: OrderId


class OrderCompleted(Event):
    order: OrderId


class OrderCancelled(Event):
    order: OrderId
    reason: str


class AlreadyPlaced(Rejected):
    "An order with this number was placed before."


class NotOpen(Rejected):
    "There is no such order, or it has come to its end."


class Order(Aggregate, key=OrderId):
    status: Literal["new", "open", "completed", "cancelled"] = "new"
    is_wanted: bool = True

    @decide
    def place(self, command: PlaceOrder) -> Iterator[OrderPlaced]:
        if self.status != "new":
            raise AlreadyPlaced(command.order)
        yield OrderPlaced(
            order=command.order,
            stock_code=command.stock_code,
            units=command.units,
            amount_mills=command.amount_mills,
            card=command.card,
            country=command.country,
            seconds_to_pay=command.seconds_to_pay,
        )

    @decide
    def cancel(self, command: CancelOrder) -> Iterator[CancellationAsked]:
        if self.status != "open":
            raise NotOpen(command.order)
        if self.is_wanted:
            yield CancellationAsked(order=command.order)

    @decide
    def complete(self, command: CompleteOrder) -> Iterator[OrderCompleted]:
        if self.status != "open":
            raise NotOpen(command.order)
        yield OrderCompleted(order=command.order)

    @decide
    def give_up(self, command: GiveUpOrder) -> Iterator[OrderCancelled]:
        if self.status != "open":
            raise NotOpen(command.order)
        yield OrderCancelled(order=command.order, reason=command.reason)

    @evolve
    def placed(self, event: OrderPlaced) -> Self:
        return replace(self, status="open")

    @evolve
    def cancellation_asked(self, event: CancellationAsked) -> Self:
        return replace(self, is_wanted=False)

    @evolve
    def completed(self, event: OrderCompleted) -> Self:
        return replace(self, status="completed")

    @evolve
    def cancelled(self, event: OrderCancelled) -> Self:
        return replace(self, status="cancelled")


# What the other services are asked to do, and what is heard of them.


class Reserve(Command, service="stock"):
    order: OrderId
    stock_code: str
    units: int


class Release(Command, service="stock"):
    order: OrderId


class Charge(Command, service="payments"):
    order: OrderId
    card: str
    amount_mills: int


class Refund(Command, service="payments"):
    order: OrderId


class Ship(Command, service="shipping"):
    order: OrderId
    country: str


class PaymentTaken(Event, source="payments"):
    order: OrderId


class PaymentRefused(Event, source="payments"):
    order: OrderId
    reason: str


class MoneyGivenBack(Event, source="payments"):
    order: OrderId


class Reserved(Event, source="stock"):
    order: OrderId


class Released(Event, source="stock"):
    order: OrderId


class Shipped(Event, source="shipping"):
    order: OrderId


class PaymentDeadline(Timer):
    order: OrderId


class Fulfilment(Process, key=OrderId, start="first", missing="ignore", ended="ignore"):
    """The way of one order. Until it is being shipped it can turn back, for the first reason that there is."""

    card: str = ""
    amount_mills: int = 0
    country: str = ""
    stage: Literal["reserving", "charging", "shipping", "turning back"] = "reserving"
    reason: str = ""

    @evolve
    def placed(self, event: OrderPlaced) -> Self:
        return replace(self, card=event.card, amount_mills=event.amount_mills, country=event.country)

    @react(starts=True)
    def begin(self, event: OrderPlaced) -> Iterator[Step[Reserve, Release] | Later[PaymentDeadline]]:
        reserve = Reserve(order=event.order, stock_code=event.stock_code, units=event.units)
        yield step(reserve, undo=Release(order=event.order))
        yield after(PaymentDeadline(order=event.order), seconds=event.seconds_to_pay)

    @evolve
    def reserved(self, outcome: Accepted[Reserve]) -> Self:
        return replace(self, stage="charging") if self.stage == "reserving" else self

    @react
    def charge(self, outcome: Accepted[Reserve]) -> Iterator[Step[Charge, Refund]]:
        charge = Charge(order=self.key, card=self.card, amount_mills=self.amount_mills)
        yield step(charge, undo=Refund(order=self.key))

    # That a charge is accepted says that payments will see to it; that the money is there is told by an event.

    @evolve
    def paid(self, event: PaymentTaken) -> Self:
        return replace(self, stage="shipping") if self.stage == "charging" else self

    @react
    def ship(self, event: PaymentTaken) -> Iterator[Cancel | Ship]:
        if self.stage == "shipping":
            yield cancel(PaymentDeadline)
            yield Ship(order=self.key, country=self.country)

    @react
    def complete(self, outcome: Accepted[Ship]) -> Iterator[CompleteOrder | End]:
        yield CompleteOrder(order=self.key)
        yield end()

    # What goes wrong.

    @evolve
    def refused(self, outcome: Refused[Reserve] | Refused[Charge] | Refused[Ship]) -> Self:
        return self._turned_back(outcome.reason)

    @evolve
    def not_paid(self, event: PaymentRefused) -> Self:
        return self._turned_back(event.reason)

    @evolve
    def late(self, timer: PaymentDeadline) -> Self:
        return self if self.stage == "shipping" else self._turned_back("It was not paid in time.")

    @evolve
    def not_wanted(self, event: CancellationAsked) -> Self:
        return self if self.stage == "shipping" else self._turned_back("The customer has cancelled it.")

    def _turned_back(self, reason: str) -> Self:
        return self if self.stage == "turning back" else replace(self, stage="turning back", reason=reason)

    @react
    def turn_back(
        self,
        event: Refused[Reserve]
        | Refused[Charge]
        | Refused[Ship]
        | PaymentRefused
        | PaymentDeadline
        | CancellationAsked,
    ) -> Iterator[Compensate]:
        if self.stage == "turning back":
            yield compensate()

    @react
    def give_up(self, event: Compensated) -> Iterator[GiveUpOrder | End]:
        yield GiveUpOrder(order=self.key, reason=self.reason)
        yield end()


# What is told.

DONE: dict[type[Event], str] = {
    Reserved: "reserved",
    PaymentTaken: "paid",
    Shipped: "shipped",
    MoneyGivenBack: "paid back",
    Released: "released",
}


class OrderState(View, key=OrderId):
    """An order, what has been done for it, what it has come to, and why."""

    stock_code: str = ""
    units: int = 0
    amount_mills: int = 0
    status: Annotated[str, Index] = "unknown"
    reason: str = ""
    way: str = ""

    @evolve
    def placed(self, event: OrderPlaced) -> Self:
        return replace(
            self,
            stock_code=event.stock_code,
            units=event.units,
            amount_mills=event.amount_mills,
            status="open",
        )

    @evolve
    def went_on(self, event: Reserved | PaymentTaken | Shipped | MoneyGivenBack | Released) -> Self:
        return replace(self, way=f"{self.way}, {DONE[type(event)]}".removeprefix(", "))

    @evolve
    def completed(self, event: OrderCompleted) -> Self:
        return replace(self, status="completed")

    @evolve
    def cancelled(self, event: OrderCancelled) -> Self:
        return replace(self, status="cancelled", reason=event.reason)


class Orders(Query[Page[OrderState]]):
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100
    after: str = ""


@answer
async def find_orders(query: Orders, views: Views) -> Page[OrderState]:
    return await views.find(OrderState, limit=query.limit, after=query.after)
