"""Orders of the shop in several processes while these are killed, and the payment API and a service are away."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from random import Random

import httpx
import msgspec

from examples.shop import shop
from examples.shop.__main__ import serving
from examples.shop.audit import Books, discrepancies, read_books
from examples.shop.customers import Wish, place, restock, wishes
from examples.shop.payment_api import PaymentProvider
from examples.shop.payments import API_VARIABLE
from examples.shop.totals import Refused
from tests.support.waiting import until
from tests.support.workers import Workers
from twofold.followers import parking
from twofold.operations.databases import opened
from twofold.service import Settings

PROCESSES = 2
PROBES = {"TWOFOLD_HANDLERS_LONGEST_PROBE_SECONDS": "0.2"}
"""So many cards are late that an outage seems to begin again and again, and each need not take long."""

DECLINED, SOLD_OUT, NOT_SERVED = "The card was declined.", "There are not so many units left.", "Nothing is shipped to"
LATE, CANCELLED = "It was not paid in time.", "The customer has cancelled it."
ENDS = {
    "the card is declined": {DECLINED, SOLD_OUT},
    "the goods are sold out": {SOLD_OUT},
    "nothing is shipped there": {NOT_SERVED, SOLD_OUT},
    "the API answers after the deadline": {"", LATE, SOLD_OUT},
    "the customer changes his mind": {"", CANCELLED, SOLD_OUT},
}
"""Why an order may be cancelled, by what goes wrong with it; '' stands for being completed."""


class Chaos(msgspec.Struct):
    """What happens to so many orders: how often a process is killed, and for how long something is away.

    ``away`` keeps the log of a service from being written for a block.
    """

    orders: int
    kills: int
    down_seconds: float
    away: Callable[[], AbstractAsyncContextManager[object]]


def check_fulfilments(log: str, views: str, chaos: Chaos) -> None:
    """Have all orders fulfilled, and check that each came to one end, with money and units where that says they are."""
    asyncio.run(_check(log, views, chaos))


async def _check(log: str, views: str, chaos: Chaos) -> None:
    provider = PaymentProvider()
    wanted = list(wishes(chaos.orders))
    async with serving(provider.app, port=0) as (api_url, _):
        environment = {"TWOFOLD_LOG": log, "TWOFOLD_VIEWS": views, API_VARIABLE: api_url} | PROBES
        with Workers("examples.shop:shop", PROCESSES, environment) as workers:
            url = await asyncio.to_thread(lambda: workers.url)
            async with httpx.AsyncClient(base_url=url, timeout=60) as http, httpx.AsyncClient(base_url=api_url) as api:
                books = await fulfilled(http, api, wanted, partial(_go_wrong, chaos, workers, provider))
        assert [each for each in workers.logged if "Traceback" in str(each)] == []
    check_ends(wanted, books)
    await check_logs(log, views, wanted)


async def fulfilled(
    http: httpx.AsyncClient, api: httpx.AsyncClient, wanted: Sequence[Wish], go_wrong: Callable[[], Awaitable[None]]
) -> Books:
    """Have all orders placed while things go wrong, and return what the books say when all of it adds up."""
    # There is not quite as much of everything as is wanted.
    await restock(http, len(wanted))
    await asyncio.gather(place(http, iter(wanted)), go_wrong())
    books: list[Books] = []

    async def adds_up() -> bool:
        try:
            books[:] = [await read_books(http, api)]
        except (httpx.TransportError, Refused):
            return False
        return len(books[0].orders) == len(wanted) and not any(discrepancies(books[0]))

    await until(adds_up, seconds=60 + len(wanted) / 5)
    return books[0]


async def _go_wrong(chaos: Chaos, workers: Workers, provider: PaymentProvider) -> None:
    """Let all of it happen, each when so many orders are paid, as far as these get."""
    dice = Random(7)

    async def kill() -> None:
        await until(lambda: _is(workers.serving))
        workers.kill_one(dice)

    async def api_is_down() -> None:
        provider.is_down = True
        await asyncio.sleep(chaos.down_seconds)
        provider.is_down = False

    async def service_is_away() -> None:
        async with chaos.away():
            await asyncio.sleep(chaos.down_seconds)

    mishaps = [api_is_down, service_is_away, *[kill] * chaos.kills]
    dice.shuffle(mishaps)
    for number, mishap in enumerate(mishaps, start=1):
        paid = number * chaos.orders // (3 * len(mishaps))
        await until(lambda: _is(len(provider.account.entries) >= paid), seconds=60 + chaos.orders / 10)  # noqa: B023
        await mishap()


async def _is(condition: object) -> bool:
    return bool(condition)


# What must hold.


def check_ends(wanted: Sequence[Wish], books: Books) -> None:
    """Each order has an end that its luck allows."""
    assert list(discrepancies(books)) == []
    ends = Counter[tuple[str, str]]()
    for wish in wanted:
        order = books.orders[wish.order.order]
        allowed = ENDS.get(wish.trouble, {"", SOLD_OUT})
        assert any(order.reason.startswith(each) if each else order.status == "completed" for each in allowed), order
        ends[order.status, order.reason.partition("(")[0]] += 1
    print(dict(ends))


async def check_logs(log: str, views: str, wanted: Sequence[Wish]) -> None:
    """Each order has one end in the log of sales, and nothing is parked anywhere."""
    async with AsyncExitStack() as stack:
        for name, service in shop.services.items():
            settings = Settings(log=log.format(service=name), views=views.format(service=name))
            databases = await stack.enter_async_context(opened(service.declaration, settings))
            assert await parking.parked(databases.views) == []
            if name == "sales":
                events = await databases.log.read(limit=1_000_000)
                ended = [each for each in events if each.type in ("OrderCompleted", "OrderCancelled")]
                orders = Counter(msgspec.json.decode(each.data)["order"] for each in ended)
                assert orders == {wish.order.order: 1 for wish in wanted}
