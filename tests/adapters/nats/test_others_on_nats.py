"""A program that knows nothing of Twofold publishes to its services and reads from them."""

import asyncio

import nats
from nats.js.errors import NotFoundError

from examples.brokers.labels import Price, PriceOf, Print, labels
from examples.brokers.plain_nats import tell, wanted
from tests.support.servers.nats import NatsServer


def test_a_plain_program_is_heard_and_hears(server: NatsServer) -> None:
    """With nothing but nats-py, an id and a type."""
    places = server.places()

    async def scenario() -> None:
        async with labels.run(log="memory:", views="memory:", transport=places.url) as running, asyncio.timeout(60):
            await existing(server.url, f"{places.name}-prices-events")
            await tell(server.url, f"{places.name}.prices.events.Priced", "tea", 349)
            while await running.ask(PriceOf(item="tea")) != Price(key="tea", cents=349):
                await asyncio.sleep(0.05)
            await running.send(Print(item="tea", text="Darjeeling"))
            await existing(server.url, f"{places.name}-labels-events")
            texts = wanted(server.url, f"{places.name}-labels-events")
            assert await anext(texts) == "Darjeeling"
            await texts.aclose()

    asyncio.run(scenario())


async def existing(url: str, stream: str) -> None:
    """Wait until there is a stream."""
    async with await nats.connect(url) as connection:
        while True:
            try:
                await connection.jetstream().stream_info(stream)
                return
            except NotFoundError:
                await asyncio.sleep(0.05)
