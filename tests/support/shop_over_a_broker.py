"""The shop with each service in a process of its own and a broker between them, while these processes are killed."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec

from examples.shop import shop
from examples.shop.__main__ import serving
from examples.shop.customers import wishes
from examples.shop.load import client, deliver_again, load, over
from examples.shop.orders import last_lines, read_orders
from examples.shop.payment_api import PaymentProvider
from examples.shop.payments import API_VARIABLE
from examples.shop.processes import databases
from examples.shop.totals import ask_for_result
from tests.support.fulfilments import PROBES, check_ends, check_logs, fulfilled
from tests.support.waiting import until
from tests.support.workers import Workers
from twofold.service import Settings

Alone = dict[str, Workers]


def check_shop(
    url: str, orders: Path, folder: Path, *, wanted: int, kills: int, midway: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Take in documents and orders, with so many kills, hear everything twice; check the orders, return the totals.

    What is to happen ``midway`` is called on a thread, when half of the kills are done.
    """
    return asyncio.run(_check(url, orders, folder, wanted, partial(_kill, kills, midway, Random(1))))


async def _check(
    url: str, orders: Path, folder: Path, wanted: int, go_wrong: Callable[[Alone], Coroutine[Any, Any, None]]
) -> dict[str, Any]:
    log, views = f"sqlite:///{folder}/{{service}}.db", f"sqlite:///{folder}/{{service}}-views.db"
    provider = PaymentProvider()
    wishlist = list(wishes(wanted))
    async with serving(provider.app, port=0) as (api_url, _):
        environment = {
            "TWOFOLD_LOG": log,
            "TWOFOLD_VIEWS": views,
            "TWOFOLD_TRANSPORT": url,
            API_VARIABLE: api_url,
        } | PROBES
        with ExitStack() as stack:
            alone = {
                name: stack.enter_context(Workers(f"examples.shop.apart:{name}", 1, environment))
                for name in shop.services
            }
            urls = {name: await asyncio.to_thread(lambda each: each.url, workers) for name, workers in alone.items()}
            async with client(urls) as http, httpx.AsyncClient(base_url=api_url) as api, over(urls) as send:
                sent = count(1)
                documents = read_orders(orders, last_lines(orders))
                going_wrong = asyncio.create_task(go_wrong(alone))
                receipts, books = await asyncio.gather(
                    load(send, documents, partial(next, sent)),
                    fulfilled(http, api, wishlist, partial(_wait, going_wrong)),
                )
                settings = {
                    name: Settings(log=log.format(service=name), views=views.format(service=name))
                    for name in shop.services
                }
                async with databases(settings) as followed:
                    await deliver_again(followed, has_broker=True)
                result = await ask_for_result(http, receipts)
        assert [entry for each in alone.values() for entry in each.logged if "Traceback" in str(entry)] == []
    check_ends(wishlist, books)
    await check_logs(log, views, wishlist)
    return dict(msgspec.to_builtins(result))


async def _kill(kills: int, midway: Callable[[], None], dice: Random, alone: Alone) -> None:
    """Kill one service after the other, each when it serves."""
    for number in range(kills):
        if number == kills // 2:
            await asyncio.to_thread(midway)
        workers = dice.choice([*alone.values()])
        await until(partial(_serves, workers))
        workers.kill_one(dice)


async def _serves(workers: Workers) -> bool:
    return bool(workers.serving)


async def _wait(task: asyncio.Task[None]) -> None:
    await task
