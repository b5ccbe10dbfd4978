"""A program that knows nothing of Twofold publishes to its services and reads from them."""

import asyncio

from examples.brokers.labels import Price, PriceOf, Print, labels
from examples.brokers.plain_redis import tell, wanted
from tests.support.servers.redis import RedisServer


def test_a_plain_program_is_heard_and_hears(server: RedisServer) -> None:
    """With nothing but redis-py, an id and a type; it may even be there first."""
    places = server.places()
    prices, wanted_labels = (f"{places.name}:{source}:events" for source in ("prices", "labels"))

    async def scenario() -> None:
        tell(server.url, prices, "tea", 349)
        async with labels.run(log="memory:", views="memory:", transport=places.url) as running, asyncio.timeout(60):
            while await running.ask(PriceOf(item="tea")) != Price(key="tea", cents=349):
                await asyncio.sleep(0.05)
            await running.send(Print(item="tea", text="Darjeeling"))
            texts = wanted(server.url, wanted_labels)
            assert await asyncio.to_thread(next, texts) == "Darjeeling"
            await asyncio.to_thread(texts.close)

    asyncio.run(scenario())
