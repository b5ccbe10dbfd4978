"""Commands from one process to another, with nothing between them but files and HTTP."""

import asyncio
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes.ordering import Reserve, sales
from tests.support.serving import ServingProcess
from twofold.errors import RequestTimeout
from twofold.http import asgi, serve
from twofold.service import Running

PATIENCE = 60.0


def free_port() -> int:
    """Return a port that was free a moment ago: each of the two has to know where the other will be."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stock_process(folder: Path, port: int, sales_port: int) -> ServingProcess:
    process = ServingProcess(
        "tests.processes.reserving:stock",
        {
            "TWOFOLD_LOG": f"sqlite:///{folder}/stock.db",
            "TWOFOLD_VIEWS": f"sqlite:///{folder}/stock-views.db",
            "TWOFOLD_TRANSPORT": f"feed:sales=http://127.0.0.1:{sales_port}",
        },
    )
    process.url = f"http://127.0.0.1:{port}"
    return process


@asynccontextmanager
async def running_sales(folder: Path, port: int, stock_port: int) -> AsyncIterator[Running]:
    """Run the sales here, with their feed where the stock looks for it."""
    log, views = f"sqlite:///{folder}/sales.db", f"sqlite:///{folder}/sales-views.db"
    transport = f"feed:stock=http://127.0.0.1:{stock_port}"
    async with sales.run(log=log, views=views, transport=transport) as running:
        ready = asyncio.Event()
        serving = asyncio.create_task(serve(asgi(running), port=port, ready=lambda _: ready.set()))
        await ready.wait()
        try:
            yield running
        finally:
            serving.cancel()
            await asyncio.wait([serving])


def add(url: str, units: int) -> None:
    httpx.post(f"{url}/commands/Add", json={"item": "tea", "units": units}).raise_for_status()


def test_commands_are_decided_once_through_kill_minus_nine(tmp_path: Path) -> None:
    """The stock is killed again and again while it is asked: each command has one outcome there, and that comes back."""
    ports = free_port(), free_port()
    orders = [f"o-{n}" for n in range(120)]

    async def request(running: Running, order: str) -> str:
        command = Reserve(item="tea", order=order, units=1)
        receipt = await running.request(command, timeout_seconds=PATIENCE, id=order)
        return receipt.service

    async def scenario() -> None:
        with stock_process(tmp_path, ports[1], ports[0]) as stock:
            await asyncio.to_thread(add, stock.url, 1000)
            async with running_sales(tmp_path, *ports) as running:
                for start in range(0, len(orders), 30):
                    requests = [asyncio.create_task(request(running, each)) for each in orders[start : start + 30]]
                    await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
                    code, _, _ = await asyncio.to_thread(stock.end, signal.SIGKILL)
                    assert code == -signal.SIGKILL
                    await asyncio.to_thread(stock.start)
                    assert await asyncio.gather(*requests) == ["stock"] * 30

    asyncio.run(scenario())
    reserved = rows(tmp_path / "stock.db", "SELECT json_extract(data, '$.order') FROM events WHERE type = 'Reserved'")
    assert Counter(reserved) == Counter(orders)
    outcomes = rows(tmp_path / "sales.db", "SELECT data FROM events WHERE type = 'stock.twofold.CommandSettled'")
    assert len(outcomes) == len(orders)


def test_whoever_is_away_is_sent_to_and_decides_later(tmp_path: Path) -> None:
    """Who sends is not held up; who waits learns that it may still be decided, and asks again with the same id."""
    ports = free_port(), free_port()
    command = Reserve(item="tea", order="o-1", units=1)

    async def scenario() -> None:
        async with running_sales(tmp_path, *ports) as running:
            assert (await running.send(Reserve(item="tea", order="o-0", units=1), id="o-0")).position == 1
            with pytest.raises(RequestTimeout, match="may still be decided"):
                await running.request(command, timeout_seconds=0.05, id="o-1")
            with stock_process(tmp_path, ports[1], ports[0]) as stock:
                await asyncio.to_thread(add, stock.url, 5)
                later = Reserve(item="tea", order="o-2", units=1)
                await running.request(later, timeout_seconds=PATIENCE)

    asyncio.run(scenario())
    outcomes = rows(tmp_path / "sales.db", "SELECT data FROM events WHERE type = 'stock.twofold.CommandSettled'")
    assert len(outcomes) == 3


def rows(log: Path, query: str) -> list[str]:
    connection = sqlite3.connect(log)
    found = [value for (value,) in connection.execute(query)]
    connection.close()
    return found
