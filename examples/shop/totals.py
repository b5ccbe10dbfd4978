"""What the services say about the documents, asked over HTTP: as one JSON object, or as tables."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import httpx
import msgspec
from rich.columns import Columns
from rich.table import Table

from examples.shop import shop
from examples.shop.reporting import BestCustomers, RevenueByCountry, Totals
from examples.shop.stock import MostSold
from twofold import Query, Receipt
from twofold.queries import answer_type

A = TypeVar("A")


class Refused(Exception):
    """A service did not answer; the text is its reason."""


class Result(msgspec.Struct, frozen=True):
    """Amounts are in pounds: sums exact to the mill, those of the first five rounded to pence. Units are net of returns."""

    documents: int
    lines: int
    anon_lines: int
    customers: int
    skus: int
    net_revenue: float
    gross_sales: float
    credits: float
    top5_customers: dict[str, float]
    top5_countries: dict[str, float]
    units_of: dict[str, int]


async def ask_for_result(http: httpx.AsyncClient, receipts: Mapping[str, Receipt]) -> Result:
    """Ask reporting and stock about everything up to the receipts.

    Raises:
        Refused: one of them does not answer.
    """
    sums = await ask(http, Totals(), receipts)
    customers = await ask(http, BestCustomers(limit=5), receipts)
    countries = await ask(http, RevenueByCountry(limit=5), receipts)
    most_sold = await ask(http, MostSold(limit=10), receipts)
    return Result(
        documents=sums.documents,
        lines=sums.lines,
        anon_lines=sums.anon_lines,
        customers=sums.customers,
        skus=sums.skus,
        net_revenue=pounds(sums.net_mills),
        gross_sales=pounds(sums.gross_mills),
        credits=pounds(sums.credits_mills),
        top5_customers={each.key: round(pounds(each.net_mills), 2) for each in customers},
        top5_countries={each.key: round(pounds(each.net_mills), 2) for each in countries},
        units_of={each.key: each.net for each in most_sold},
    )


async def ask(http: httpx.AsyncClient, query: Query[A], receipts: Mapping[str, Receipt]) -> A:
    """Have a question answered by views that have seen what the receipts, one of each service, stand for.

    Raises:
        Refused: the service does not answer.
    """
    kind: type[Query[Any]] = type(query)
    service = next(each for each in shop.services.values() if kind.message_name in each.declaration.queries)
    heard = [receipts[name] for name in (service.name, *service.declaration.sources) if name in receipts]
    response = await http.get(
        f"/{service.name}/queries/{kind.message_name}",
        params=msgspec.to_builtins(query),
        headers={"Prefer": "wait=30"} | ({"Twofold-Receipt": ", ".join(map(str, heard))} if heard else {}),
    )
    if not response.is_success:
        raise Refused(f"{query}: {response.text}")
    return cast("A", msgspec.json.decode(response.content, type=answer_type(kind)))


def pounds(mills: int) -> float:
    """Return an amount as JSON has it, with a decimal point: the nearest float prints as exactly this many mills.

    >>> pounds(9_747_747_934)
    9747747.934
    """
    return mills / 1000


def tables(result: Result) -> Columns:
    """Return the result for a terminal."""
    sums = {
        "documents": f"{result.documents:,}",
        "lines": f"{result.lines:,}",
        "customers": f"{result.customers:,}",
        "stock codes": f"{result.skus:,}",
        "gross": _amount(result.gross_sales),
        "credits": _amount(result.credits),
        "net": _amount(result.net_revenue),
    }
    return Columns(
        [
            _table("In all", sums),
            _table("Top customers", {key: _amount(value) for key, value in result.top5_customers.items()}),
            _table("Top countries", {key: _amount(value) for key, value in result.top5_countries.items()}),
            _table("Units", {key: f"{units:,}" for key, units in result.units_of.items()}),
        ],
        padding=(1, 2),
    )


def _amount(value: float) -> str:
    return f"£{value:,.2f}".replace("£-", "-£")


def _table(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    return table
