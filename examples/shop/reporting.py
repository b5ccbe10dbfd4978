"""Reporting: revenue by country, month and customer. It decides nothing, and hears what the other three publish."""

from typing import Annotated, Self

import msgspec
from sqlalchemy import BigInteger, cast, func, select

from twofold import Event, Index, Meta, Query, Service, Tag, View, Views, answer, evolve, project, replace
from twofold.views import Transaction

CountryName = Annotated[str, Tag("country")]
MonthName = Annotated[str, Tag("month")]
CustomerId = Annotated[str, Tag("customer")]
StockCode = Annotated[str, Tag("stock_code")]
Limit = Annotated[int, Meta(ge=1, le=1_000)]

# What reporting reads of the documents that the others publish.


class Line(msgspec.Struct, frozen=True):
    stock_code: str


class Document(Event):
    country: CountryName
    month: MonthName
    customer: CustomerId | None
    amount_mills: int
    lines: tuple[Line, ...]

    @property
    def revenue_mills(self) -> int:
        return self.amount_mills


class InvoiceIssued(Document, source="sales"):
    pass


class CreditNoteIssued(Document, source="sales"):
    @property
    def revenue_mills(self) -> int:
        return -self.amount_mills


class BadDebtAdjusted(Document, source="ledger"):
    pass


class StockWrittenOff(Event, source="stock"):
    country: CountryName
    stock_code: str


# What it answers from.


class Country(View, key=CountryName):
    """What was sold, what was credited (below zero), and the net of these and of bad debt; how much of it to nobody known."""

    documents: int = 0
    lines: int = 0
    anon_lines: int = 0
    gross_mills: int = 0
    credits_mills: int = 0
    net_mills: Annotated[int, Index] = 0
    anon_net_mills: int = 0

    @evolve
    def invoiced(self, event: InvoiceIssued) -> Self:
        return replace(self._counted(event), gross_mills=self.gross_mills + event.revenue_mills)

    @evolve
    def credited(self, event: CreditNoteIssued) -> Self:
        return replace(self._counted(event), credits_mills=self.credits_mills + event.revenue_mills)

    @evolve
    def adjusted(self, event: BadDebtAdjusted) -> Self:
        return self._counted(event)

    @evolve
    def written_off(self, event: StockWrittenOff) -> Self:
        return replace(self, documents=self.documents + 1, lines=self.lines + 1, anon_lines=self.anon_lines + 1)

    def _counted(self, event: Document) -> Self:
        lines, revenue_mills = len(event.lines), event.revenue_mills
        counted = replace(
            self, documents=self.documents + 1, lines=self.lines + lines, net_mills=self.net_mills + revenue_mills
        )
        if event.customer is not None:
            return counted
        return replace(counted, anon_lines=self.anon_lines + lines, anon_net_mills=self.anon_net_mills + revenue_mills)


class Month(View, key=MonthName):
    net_mills: int = 0

    @evolve
    def counted(self, event: InvoiceIssued | CreditNoteIssued | BadDebtAdjusted) -> Self:
        return replace(self, net_mills=self.net_mills + event.revenue_mills)


class Customer(View, key=CustomerId):
    net_mills: Annotated[int, Index] = 0

    @evolve
    def counted(self, event: InvoiceIssued | CreditNoteIssued | BadDebtAdjusted) -> Self:
        return replace(self, net_mills=self.net_mills + event.revenue_mills)


class Sku(View, key=StockCode):
    """A stock code that some document names, be it of goods or of charges."""

    lines: int = 0


@project(Sku)
async def count_lines(
    event: InvoiceIssued | CreditNoteIssued | BadDebtAdjusted | StockWrittenOff, rows: Transaction
) -> None:
    codes = [event.stock_code] if isinstance(event, StockWrittenOff) else [line.stock_code for line in event.lines]
    for code in codes:
        sku = await rows.get(Sku, code)
        rows.put(replace(sku, lines=sku.lines + 1))


# What can be asked.


class Sums(msgspec.Struct, frozen=True):
    documents: int
    lines: int
    anon_lines: int
    gross_mills: int
    credits_mills: int
    net_mills: int
    anon_net_mills: int
    customers: int
    skus: int


class Totals(Query[Sums]):
    pass


class BestCustomers(Query[list[Customer]]):
    limit: Limit = 5


class RevenueByCountry(Query[list[Country]]):
    limit: Limit = 5


class RevenueByMonth(Query[list[Month]]):
    pass


@answer
async def totals(query: Totals, views: Views) -> Sums:
    columns = [
        cast(func.coalesce(func.sum(each), 0), BigInteger).label(each.name) for each in Country.c if each.name != "key"
    ]
    [sums] = await views.select(select(*columns))
    [(customers,)] = await views.select(select(func.count(Customer.c.key)))
    [(skus,)] = await views.select(select(func.count(Sku.c.key)))
    return Sums(**sums._mapping, customers=customers, skus=skus)


@answer
async def best_customers(query: BestCustomers, views: Views) -> list[Customer]:
    return (await views.find(Customer, order_by=Customer.c.net_mills.desc(), limit=query.limit)).rows


@answer
async def revenue_by_country(query: RevenueByCountry, views: Views) -> list[Country]:
    return (await views.find(Country, order_by=Country.c.net_mills.desc(), limit=query.limit)).rows


@answer
async def revenue_by_month(query: RevenueByMonth, views: Views) -> list[Month]:
    return (await views.find(Month, limit=10_000)).rows


reporting = Service(
    "reporting",
    views=[Country, Month, Customer],
    projections=[count_lines],
    queries=[totals, best_customers, revenue_by_country, revenue_by_month],
    subscribes=[InvoiceIssued, CreditNoteIssued, BadDebtAdjusted, StockWrittenOff],
)
