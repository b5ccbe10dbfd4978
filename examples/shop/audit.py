"""An audit: money and units are where the ends of all orders say that they are, to the last of them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx
import msgspec

from examples.shop.fulfilment import Orders, OrderState
from examples.shop.payment_api import Entry
from examples.shop.payments import Paid, Payments
from examples.shop.shelves import OnShelf, Shelves
from examples.shop.totals import ask
from twofold import Query, View
from twofold.queries import Page

R = TypeVar("R", bound=View)


class Books(msgspec.Struct, frozen=True):
    """What sales, payments and stock say, and what somebody else has of the same money."""

    orders: dict[str, OrderState]
    payments: dict[str, Paid]
    entries: dict[str, Entry]
    shelves: list[OnShelf]


async def read_books(http: httpx.AsyncClient, api: httpx.AsyncClient) -> Books:
    """Ask the services and the payment API.

    Raises:
        Refused: a service does not answer.
    """
    entries = msgspec.json.decode((await api.get("/entries")).content, type=list[Entry])
    return Books(
        orders={each.key: each for each in await _all(http, Orders)},
        payments={each.key: each for each in await _all(http, Payments)},
        entries={each.order: each for each in entries},
        shelves=await ask(http, Shelves(), {}),
    )


async def _all(http: httpx.AsyncClient, kind: type[Query[Page[R]]]) -> list[R]:
    """Ask for one page after the other."""
    make: Any = kind
    page: Page[R] = await ask(http, make(limit=10_000), {})
    rows = page.rows
    while page.next:
        page = await ask(http, make(limit=10_000, after=page.next), {})
        rows += page.rows
    return rows


def discrepancies(books: Books) -> Iterator[str]:
    """Yield what does not add up, as long as anything is under way that is no mistake."""
    sold: Counter[str] = Counter()
    for order in books.orders.values():
        if order.status == "completed":
            sold[order.stock_code] += order.units
        yield from _of_order(order, books.payments.get(order.key), books.entries.get(order.key))
    for unknown in books.entries.keys() - books.orders:
        yield f"{unknown}: the payment API has it, and sales has not"
    for shelf in books.shelves:
        if shelf.came - shelf.left != sold[shelf.key]:
            yield f"{shelf.key}: {shelf.came - shelf.left} units are gone, and {sold[shelf.key]} are sold"


def _of_order(order: OrderState, paid: Paid | None, entry: Entry | None) -> Iterator[str]:
    if order.status not in ("completed", "cancelled"):
        yield f"{order.key}: it has not come to an end"
    if paid and paid.is_asked:
        yield f"{order.key}: the payment API has not answered"
    due_mills = order.amount_mills if order.status == "completed" else 0
    known = (paid.taken_mills, paid.given_back_mills) if paid else (0, 0)
    moved = (entry.taken_mills, entry.given_back_mills) if entry else (0, 0)
    if known != moved:
        yield f"{order.key}: payments knows of {known} taken and given back, and the payment API of {moved}"
    if moved[0] - moved[1] != due_mills:
        yield f"{order.key}: {moved[0] - moved[1]} is kept of a payment, and {due_mills} is due"
