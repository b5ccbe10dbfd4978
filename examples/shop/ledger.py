"""Ledger: what each customer owes. It adjusts bad debt itself, and hears of everything else from sales."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self

import msgspec
from sqlalchemy import BigInteger, cast, func, select

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
    replace,
)

Moment = Annotated[datetime, Meta(tz=True, examples=["2010-12-01T08:26:00Z"])]
DocumentNumber = Annotated[str, Tag("document"), Meta(pattern="^[A-Z]?[0-9]{1,12}$", examples=["A563185"])]
CustomerId = Annotated[str, Tag("customer"), Meta(min_length=1, max_length=60, examples=["17850"])]
Amount = Annotated[int, Meta(ge=-(10**12), le=10**12, description="In thousandths of a pound; negative: given up.")]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stock_code: Annotated[str, Meta(pattern="^[0-9A-Za-z_ ]{1,20}$", examples=["B"])]
    amount_mills: Amount
    description: Annotated[str, Meta(max_length=200)] = ""


class AdjustBadDebt(Command):
    "Debt is given up, or claimed after all."

    number: DocumentNumber
    adjusted_at: Moment
    country: Annotated[str, Meta(min_length=1, max_length=60)]
    customer: CustomerId | None = None
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=5_000)]


class BadDebtAdjusted(Event):
    number: DocumentNumber
    adjusted_at: Moment
    month: str
    country: str
    customer: CustomerId | None
    amount_mills: int
    lines: tuple[Line, ...]


class AlreadyAdjusted(Rejected):
    "An adjustment with this number was recorded before; it counts once."


class Adjustment(Aggregate, key=DocumentNumber):
    recorded: bool = False

    @decide
    def adjust(self, command: AdjustBadDebt) -> Iterator[BadDebtAdjusted]:
        if self.recorded:
            raise AlreadyAdjusted(command.number)
        yield BadDebtAdjusted(
            number=command.number,
            adjusted_at=command.adjusted_at,
            month=f"{command.adjusted_at:%Y-%m}",
            country=command.country,
            customer=command.customer,
            amount_mills=sum(line.amount_mills for line in command.lines),
            lines=command.lines,
        )

    @evolve
    def was_adjusted(self, event: BadDebtAdjusted) -> Self:
        return replace(self, recorded=True)


# What the ledger reads of the documents that sales publishes.


class InvoiceIssued(Event, source="sales"):
    customer: CustomerId | None
    amount_mills: int


class CreditNoteIssued(Event, source="sales"):
    customer: CustomerId | None
    amount_mills: int


class Balance(View, key=CustomerId):
    """What a customer owes. Whatever names no customer is nobody's balance."""

    amount_mills: Annotated[int, Index] = 0

    @evolve
    def owes_more(self, event: InvoiceIssued | BadDebtAdjusted) -> Self:
        return replace(self, amount_mills=self.amount_mills + event.amount_mills)

    @evolve
    def owes_less(self, event: CreditNoteIssued) -> Self:
        return replace(self, amount_mills=self.amount_mills - event.amount_mills)


class BalanceOf(Query[Balance | None]):
    customer: CustomerId


class AllBalances(msgspec.Struct, frozen=True):
    customers: int
    amount_mills: int


class SumOfBalances(Query[AllBalances]):
    pass


@answer
async def balance_of(query: BalanceOf, views: Views) -> Balance | None:
    return await views.get(Balance, query.customer)


@answer
async def sum_of_balances(query: SumOfBalances, views: Views) -> AllBalances:
    counted = select(func.count(Balance.c.key), cast(func.coalesce(func.sum(Balance.c.amount_mills), 0), BigInteger))
    return AllBalances(*(await views.select(counted))[0])


ledger = Service(
    "ledger",
    aggregates=[Adjustment],
    views=[Balance],
    queries=[balance_of, sum_of_balances],
    publishes=[BadDebtAdjusted],
    subscribes=[InvoiceIssued, CreditNoteIssued],
)
