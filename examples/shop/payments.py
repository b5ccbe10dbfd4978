"""Payments: money that is asked for at somebody else's API, and given back. No decision and no order waits for that API.

A charge is decided first, and asked for by an event handler afterwards: as often as it takes, under one idempotency key, so
that the money is taken once. What the API says comes back as a command, which names the charge by an id that only the handler
and the API know, so that nobody else can say it.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, Literal, Self

import httpx

from examples.shop.payment_api import PORT
from twofold import (
    Aggregate,
    Command,
    Context,
    Event,
    HandlerContext,
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
    handle,
    replace,
)
from twofold.followers import retries
from twofold.queries import Page

OrderId = Annotated[str, Tag("order"), Meta(pattern="^[A-Za-z0-9-]{1,40}$", examples=["order-17"])]
API_VARIABLE: Final = "SHOP_PAYMENT_API"

ChargeId = Annotated[str, Meta(max_length=60, description="Under which the payment API was asked for the money.")]
Mills = Annotated[int, Meta(gt=0, le=100_000_000_000, description="Thousandths of a pound.")]


class Charge(Command):
    "Take the money for an order."

    order: OrderId
    card: Annotated[str, Meta(min_length=1, max_length=60)]
    amount_mills: Mills


class Refund(Command):
    "Give back what was taken for an order, and what may still be taken for it."

    order: OrderId


class RecordTaken(Command):
    "The payment API has taken the money."

    order: OrderId
    charge_id: ChargeId


class RecordRefused(Command):
    "The payment API has refused to take the money."

    order: OrderId
    charge_id: ChargeId
    reason: Annotated[str, Meta(max_length=200)]


class RecordGivenBack(Command):
    "The payment API has given the money back."

    order: OrderId
    charge_id: ChargeId


class ChargeAsked(Event):
    order: OrderId
    charge_id: ChargeId
    card: str
    amount_mills: int


class ChargeWithdrawn(Event):
    order: OrderId


class PaymentTaken(Event):
    order: OrderId
    amount_mills: int


class PaymentRefused(Event):
    order: OrderId
    reason: str


class RefundAsked(Event):
    order: OrderId
    charge_id: ChargeId
    amount_mills: int


class MoneyGivenBack(Event):
    order: OrderId
    amount_mills: int


class AlreadyCharged(Rejected):
    "An order is charged once."


class NotAskedFor(Rejected):
    "The payment API was asked for no such charge."


class Payment(Aggregate, key=OrderId):
    status: Literal["new", "asked", "withdrawn", "taken", "refused", "refunding", "given back"] = "new"
    charge_id: str = ""
    amount_mills: int = 0

    @decide
    def charge(self, command: Charge, context: Context) -> Iterator[ChargeAsked]:
        if self.status != "new":
            raise AlreadyCharged(command.order)
        yield ChargeAsked(
            order=command.order, charge_id=context.new_id(), card=command.card, amount_mills=command.amount_mills
        )

    @decide
    def record_taken(self, command: RecordTaken) -> Iterator[PaymentTaken | RefundAsked]:
        self._check(command.charge_id)
        if self.status in ("asked", "withdrawn"):
            yield PaymentTaken(order=command.order, amount_mills=self.amount_mills)
        if self.status == "withdrawn":
            yield RefundAsked(order=command.order, charge_id=self.charge_id, amount_mills=self.amount_mills)

    @decide
    def record_refused(self, command: RecordRefused) -> Iterator[PaymentRefused]:
        self._check(command.charge_id)
        if self.status in ("asked", "withdrawn"):
            yield PaymentRefused(order=command.order, reason=command.reason)

    @decide
    def refund(self, command: Refund) -> Iterator[RefundAsked | ChargeWithdrawn]:
        if self.status == "taken":
            yield RefundAsked(order=command.order, charge_id=self.charge_id, amount_mills=self.amount_mills)
        elif self.status == "asked":
            # A call whose answer was lost may have taken the money, which only the API can say: it is asked until it does.
            yield ChargeWithdrawn(order=command.order)

    @decide
    def record_given_back(self, command: RecordGivenBack) -> Iterator[MoneyGivenBack]:
        self._check(command.charge_id)
        if self.status == "refunding":
            yield MoneyGivenBack(order=command.order, amount_mills=self.amount_mills)

    def _check(self, charge_id: str) -> None:
        if charge_id != self.charge_id:
            raise NotAskedFor(charge_id)

    @evolve
    def charge_asked(self, event: ChargeAsked) -> Self:
        return replace(self, status="asked", charge_id=event.charge_id, amount_mills=event.amount_mills)

    @evolve
    def charge_withdrawn(self, event: ChargeWithdrawn) -> Self:
        return replace(self, status="withdrawn")

    @evolve
    def taken(self, event: PaymentTaken) -> Self:
        return replace(self, status="taken")

    @evolve
    def refused(self, event: PaymentRefused) -> Self:
        return replace(self, status="refused")

    @evolve
    def refund_asked(self, event: RefundAsked) -> Self:
        return replace(self, status="refunding")

    @evolve
    def given_back(self, event: MoneyGivenBack) -> Self:
        return replace(self, status="given back")


# What happens outside.


class PaymentApi:
    """Somebody else's API, as far as it is used here. Each call may be made again under its idempotency key."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def charge(self, order: str, card: str, amount_mills: int, idempotency_key: str) -> str:
        """Take money; return '', or why it was refused.

        Raises:
            httpx.HTTPError: there was no answer, or one that says nothing: ask again.
        """
        charge = {"order": order, "card": card, "amount_mills": amount_mills}
        answered = await self._http.post("/charges", json=charge, headers={"Idempotency-Key": idempotency_key})
        if answered.status_code == httpx.codes.PAYMENT_REQUIRED:
            return str(answered.json()["reason"])
        answered.raise_for_status()
        return ""

    async def give_back(self, order: str, idempotency_key: str) -> None:
        """Give back what was taken for an order.

        Raises:
            httpx.HTTPError: there was no answer, or one that says nothing: ask again.
        """
        refund = {"order": order}
        answered = await self._http.post("/refunds", json=refund, headers={"Idempotency-Key": idempotency_key})
        answered.raise_for_status()


@asynccontextmanager
async def open_payment_api(url: str = "") -> AsyncIterator[PaymentApi]:
    """Open a client of the API at a URL, or of the one that the environment names."""
    url = url or os.environ.get(API_VARIABLE, f"http://127.0.0.1:{PORT}")
    async with httpx.AsyncClient(base_url=url, timeout=5) as http:
        yield PaymentApi(http)


PATIENTLY: Final = retries(immediate=1, delays_seconds=(0.2, 0.5, 1, 2, 5, 10, 60, 600, 3600))
"""An API that is away for a moment costs a moment, and one that is away for an hour costs nobody's order."""


@handle(start="first", policy=PATIENTLY)
async def ask_for_money(event: ChargeAsked, api: PaymentApi) -> RecordTaken | RecordRefused:
    reason = await api.charge(event.order, event.card, event.amount_mills, idempotency_key=event.charge_id)
    if reason:
        return RecordRefused(order=event.order, charge_id=event.charge_id, reason=reason)
    return RecordTaken(order=event.order, charge_id=event.charge_id)


@handle(start="first", policy=PATIENTLY)
async def give_money_back(event: RefundAsked, api: PaymentApi, context: HandlerContext) -> RecordGivenBack:
    await api.give_back(event.order, idempotency_key=context.id)
    return RecordGivenBack(order=event.order, charge_id=event.charge_id)


# What is told.


class Paid(View, key=OrderId):
    """What was taken for an order, what was given back, and whether the API is still being asked."""

    is_asked: bool = False
    taken_mills: int = 0
    given_back_mills: int = 0

    @evolve
    def charge_asked(self, event: ChargeAsked) -> Self:
        return replace(self, is_asked=True)

    @evolve
    def refused(self, event: PaymentRefused) -> Self:
        return replace(self, is_asked=False)

    @evolve
    def taken(self, event: PaymentTaken) -> Self:
        return replace(self, is_asked=False, taken_mills=event.amount_mills)

    @evolve
    def given_back(self, event: MoneyGivenBack) -> Self:
        return replace(self, given_back_mills=event.amount_mills)


class Payments(Query[Page[Paid]]):
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100
    after: str = ""


@answer
async def find_payments(query: Payments, views: Views) -> Page[Paid]:
    return await views.find(Paid, limit=query.limit, after=query.after)


payments = Service(
    "payments",
    aggregates=[Payment],
    views=[Paid],
    queries=[find_payments],
    handlers=[ask_for_money, give_money_back],
    resources={PaymentApi: open_payment_api},
    publishes=[PaymentTaken, PaymentRefused, MoneyGivenBack],
    takes_commands_from=["sales"],
)
