"""The shop in four processes while they, and the server, are killed and started again: every document is accounted for."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest

from examples.shop import shop
from examples.shop.generate import generate
from examples.shop.load import SERVICE_OF, load, over
from examples.shop.orders import Order, last_lines, read_orders
from examples.shop.totals import Refused, ask_for_result
from tests.shop.test_shop import REAL, totals_of
from tests.support.postgres import PostgresServer
from tests.support.workers import Workers
from twofold import Receipt
from twofold.followers import parking
from twofold.log import RecordedEvent
from twofold.operations.databases import opened
from twofold.service import Settings

Mishap = Callable[[], Awaitable[None]]
PROCESSES = 4
KILLS = 3


@pytest.fixture(params=["generated", "week1", "full"])
def orders(request: Any, tmp_path: Path) -> Path:
    """A small file; the real ones if asked for."""
    if request.param == "generated":
        generate(tmp_path / "orders.csv", documents=150)
        return tmp_path / "orders.csv"
    path = REAL / f"{request.param}.csv.gz"
    if not os.environ.get("TWOFOLD_TEST_FULL"):
        pytest.skip("TWOFOLD_TEST_FULL=1 runs it.")
    if not path.exists():
        pytest.skip(f"{path} of the Online Retail data set is not here.")
    return path


def test_acknowledged_is_stored_is_projected_once_each_whatever_is_killed(
    own_server: PostgresServer, orders: Path
) -> None:
    """Clients send again what nobody acknowledged, under the same id; processes and the server end by the dice."""
    seed = int(os.environ.get("TWOFOLD_TEST_SEED", "7"))
    print(f"TWOFOLD_TEST_SEED={seed}")
    with own_server.database() as url:
        place = f"{url}?schema={{service}}"
        with Workers("examples.shop:shop", PROCESSES, {"TWOFOLD_LOG": place, "TWOFOLD_VIEWS": place}) as workers:
            chaos = Chaos(own_server, workers, Random(seed))
            acknowledged, result = asyncio.run(loaded(workers.url, orders, chaos))
        assert chaos.done
        assert [each for each in workers.logged if "Traceback" in str(each)] == []
        logs = asyncio.run(everything(place))
    expected = totals_of(orders)
    assert msgspec.to_builtins(result) == expected
    assert len(acknowledged) == expected["documents"]
    check_stored(acknowledged, logs)
    check_heard(logs)


class Chaos:
    """What goes wrong, and after how many acknowledged documents."""

    def __init__(self, server: PostgresServer, workers: Workers, dice: Random) -> None:
        self._server = server
        self._workers = workers
        self._dice = dice
        self.done: list[str] = []

    def plan(self, documents: int) -> list[tuple[int, Mishap]]:
        """Return moments in order, the last ones when all is sent and not all has been followed."""
        server = self._server
        ends = [partial(self._end_server, how) for how in (server.stop, server.stop_at_once, server.kill)]
        mishaps: list[Mishap] = [*[self._kill] * KILLS, *ends]
        self._dice.shuffle(mishaps)
        moments = sorted(self._dice.sample(range(1, documents), len(mishaps)))
        return [*zip(moments, mishaps, strict=True), (documents, self._kill), (documents, self._kill)]

    async def _kill(self) -> None:
        while not self._workers.serving:
            await asyncio.sleep(0.01)
        self._note(f"worker {self._workers.kill_one(self._dice)} is killed")

    async def _end_server(self, how: Callable[[], None]) -> None:
        self._note(f"the server ends: {how.__name__}")
        await asyncio.to_thread(how)
        await asyncio.to_thread(self._server.start)

    def _note(self, what: str) -> None:
        print(what, file=sys.stderr)
        self.done.append(what)


async def loaded(url: str, orders: Path, chaos: Chaos) -> tuple[dict[Order, Receipt], Any]:
    """Send all documents while things go wrong; return what was acknowledged, and what the services then know."""
    documents = last_lines(orders)
    acknowledged: dict[Order, Receipt] = {}
    moved = asyncio.Condition()

    async with (
        over(dict.fromkeys(shop.services, url)) as send,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        asyncio.TaskGroup() as tasks,
    ):

        async def noted(order: Order) -> Receipt:
            receipt = acknowledged[order] = await send(order)
            async with moved:
                moved.notify_all()
            return receipt

        async def go_wrong() -> None:
            for moment, mishap in chaos.plan(len(documents)):
                async with moved:
                    await moved.wait_for(lambda: len(acknowledged) >= moment)  # noqa: B023 - awaited here.
                await mishap()

        going_wrong = tasks.create_task(go_wrong())
        receipts = await load(noted, read_orders(orders, documents), sent=lambda: None)
        await going_wrong
        return acknowledged, await answered(http, receipts)


async def answered(http: httpx.AsyncClient, receipts: dict[str, Receipt]) -> Any:
    """Ask until somebody answers: who is asked may just have been killed, and views may have much to catch up with."""
    async with asyncio.timeout(300):
        while True:
            try:
                return await ask_for_result(http, receipts)
            except (httpx.TransportError, Refused):
                await asyncio.sleep(0.05)


async def everything(place: str) -> dict[str, list[RecordedEvent]]:
    """Return the log of each service; reading it checks that positions have no gap. Nothing is parked."""
    logs = {}
    for name, service in shop.services.items():
        url = place.replace("{service}", name)
        async with opened(service.declaration, Settings(log=url, views=url)) as databases:
            logs[name] = await databases.log.read(limit=1_000_000)
            assert await parking.parked(databases.views) == []
    return logs


def check_stored(acknowledged: dict[Order, Receipt], logs: dict[str, list[RecordedEvent]]) -> None:
    """Each document is one event of the service that decides on it, at the position that was acknowledged."""
    for order, receipt in acknowledged.items():
        assert receipt.service == SERVICE_OF[type(order)]
        assert f'"number":"{order.number}"'.encode() in logs[receipt.service][receipt.position - 1].data
    decided = Counter(name for name, events in logs.items() for event in events if not event.metadata.source)
    assert decided == Counter(receipt.service for receipt in acknowledged.values())
    assert len({(receipt.service, receipt.position) for receipt in acknowledged.values()}) == len(acknowledged)


def check_heard(logs: dict[str, list[RecordedEvent]]) -> None:
    """What a service hears of another is in its log once, in the other's order, and all of it is."""
    for name, service in shop.services.items():
        for source in service.declaration.sources:
            heard = [each.metadata.source_position for each in logs[name] if each.metadata.source == source]
            subscribed = [each.message_name for each in service.declaration.subscribes]
            told = [event.position for event in logs[source] if f"{source}.{event.type}" in subscribed]
            assert heard == told, (name, source)
