"""One RabbitMQ for all; what a test makes there has names of its own, and goes with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from tests.support.servers.sharing import folder_of_run, shared
from twofold.adapters.rabbitmq import open_transport
from twofold.clock import SystemClock
from twofold.limits import BrokerLimits, Limits
from twofold.messaging import Transport

PATIENT = Limits(broker=BrokerLimits(answer_seconds=20))


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a server."""
    if given := os.environ.get("TWOFOLD_TEST_RABBITMQ"):
        yield given
        return
    with shared("tests.support.servers.rabbitmq", folder_of_run(tmp_path_factory)) as url:
        yield url


class Place:
    """What one test has on a server: exchanges whose names begin with `name`, and the queues at them."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.name = f"test-{uuid4().hex[:12]}"
        self.groups = ("ledger", "stock")

    def url(self, subscribers: str = "ledger,stock") -> str:
        """Return a URL that leads there."""
        return f"{self.server}?exchange={self.name}.*&subscribers={subscribers}"

    def exchange(self, source: str = "sales") -> str:
        return f"{self.name}.{source}"

    def queue(self, group: str = "ledger", source: str = "sales") -> str:
        return f"{group}.{self.exchange(source)}"

    @asynccontextmanager
    async def transport(self, limits: Limits = PATIENT, **options: str) -> AsyncIterator[Transport]:
        transport = open_transport(self.url(**options), SystemClock(), limits, ["sales"])
        try:
            yield transport
        finally:
            await transport.close()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """Open a channel as any other application would."""
        async with await aio_pika.connect(self.server) as connection, connection.channel() as channel:
            yield channel

    async def clear(self) -> None:
        async with self.channel() as channel:
            for group in self.groups:
                queue = await channel.get_queue(self.queue(group), ensure=False)
                await queue.delete(if_unused=False, if_empty=False)
            exchange = await channel.get_exchange(self.exchange(), ensure=False)
            await exchange.delete()


@pytest.fixture
def place(rabbitmq: str) -> Iterator[Any]:
    """Give a place of its own on the server."""
    place = Place(rabbitmq)
    yield place
    asyncio.run(place.clear())
