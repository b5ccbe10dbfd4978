"""Customers: what they order, and what goes wrong with it."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle, islice
from typing import NamedTuple

import httpx
from rich.live import Live
from rich.table import Table

from examples.shop.audit import Books, discrepancies, read_books
from examples.shop.fulfilment import CancelOrder, OrderState, PlaceOrder
from examples.shop.load import LOOK_AGAIN_SECONDS, post
from examples.shop.payment_api import DECLINED, LATE, LOST, SLOW
from examples.shop.shelves import Restock
from examples.shop.totals import Refused

SHELVES = {"85123A": 2_550, "22423": 12_750, "84879": 1_690, "47566": 4_950}
"""What there is, by stock code, with the prices in mills."""
SOLD_OUT = "21137"
"""Of this there is less than anybody orders."""
SENDERS = 32


class Luck(NamedTuple):
    """What is particular about an order."""

    card: str = "card"
    country: str = "United Kingdom"
    stock_code: str = ""
    seconds_to_pay: int = 3_600
    is_cancelled: bool = False


LUCK = {
    "nothing": Luck(),
    "the card is declined": Luck(card=DECLINED),
    "nothing, and it goes abroad": Luck(country="France"),
    "the API takes the money, and its answer is lost": Luck(card=LOST),
    "the goods are sold out": Luck(stock_code=SOLD_OUT),
    "the bank thinks about it": Luck(card=SLOW),
    "nothing is shipped there": Luck(country="Atlantis"),
    "the API answers after the deadline": Luck(card=LATE, seconds_to_pay=1),
    "the customer changes his mind": Luck(card=SLOW, is_cancelled=True),
}


class Wish(NamedTuple):
    """An order as it is placed, whether it is cancelled soon afterwards, and what goes wrong with it."""

    order: PlaceOrder
    is_cancelled: bool
    trouble: str


def wishes(count: int) -> Iterator[Wish]:
    """Yield what so many customers want, each with the next luck that there is."""
    articles = cycle(SHELVES)
    for number, (trouble, luck) in enumerate(islice(cycle(LUCK.items()), count), start=1):
        stock_code = luck.stock_code or next(articles)
        units = 2 + number % 7
        order = PlaceOrder(
            order=f"order-{number:05}",
            stock_code=stock_code,
            units=units,
            amount_mills=units * SHELVES.get(stock_code, 9_950),
            card=luck.card,
            country=luck.country,
            seconds_to_pay=luck.seconds_to_pay,
        )
        yield Wish(order, luck.is_cancelled, trouble)


async def restock(http: httpx.AsyncClient, units: int) -> None:
    """Fill the shelves, and put one unit of what will be sold out on its own."""
    for stock_code in SHELVES:
        await post(http, "stock", Restock(stock_code=stock_code, units=units), key=f"restock-{stock_code}")
    await post(http, "stock", Restock(stock_code=SOLD_OUT, units=1), key=f"restock-{SOLD_OUT}")


async def place(http: httpx.AsyncClient, wanted: Iterator[Wish]) -> None:
    """Place all orders, many at a time, and cancel those of which the customers think better."""

    async def place_some() -> None:
        for wish in wanted:  # All of them take from the same iterator.
            await post(http, "sales", wish.order, key=wish.order.order)
            if wish.is_cancelled:
                await _cancel(http, wish.order.order)

    async with asyncio.TaskGroup() as customers:
        for _ in range(SENDERS):
            customers.create_task(place_some())


async def _cancel(http: httpx.AsyncClient, order: str) -> None:
    try:
        await post(http, "sales", CancelOrder(order=order), key=f"cancel-{order}")
    except Refused:
        # It has come to its end before.
        return


# What the demo shows.

ORDERS = 18
UNITS = 1_000
PATIENCE_SECONDS = 60


async def show_orders(http: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    """Place a line of orders, show them on their way until money and units add up, and say so."""
    wanted = list(wishes(ORDERS))
    await restock(http, UNITS)
    with Live(refresh_per_second=10) as live, suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            placing = tasks.create_task(place(http, iter(wanted)))
            books = await read_books(http, api)
            while not placing.done() or any(discrepancies(books)):
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                books = await read_books(http, api)
                live.update(_table(wanted, books))
    print("\n" + "\n".join(discrepancies(books)) + _sums(books))


def _table(wanted: list[Wish], books: Books) -> Table:
    table = Table("Order", "What goes wrong", "What was done", "End", "Why", title="Orders on their way")
    for wish in wanted:
        order = books.orders.get(wish.order.order, OrderState(key=wish.order.order))
        table.add_row(order.key, wish.trouble, order.way, order.status, order.reason)
    return table


def _sums(books: Books) -> str:
    taken = sum(each.taken_mills for each in books.entries.values())
    given_back = sum(each.given_back_mills for each in books.entries.values())
    due = sum(each.amount_mills for each in books.orders.values() if each.status == "completed")
    gone = sum(each.came - each.left for each in books.shelves)
    return (
        f"The payment API has taken {_pounds(taken)} and given back {_pounds(given_back)}, and completed orders cost "
        f"{_pounds(due)}. {gone} units have left the shelves, and these are theirs.\n"
    )


def _pounds(mills: int) -> str:
    return f"£{mills / 1000:,.2f}"
