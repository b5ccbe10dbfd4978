"""Plain `aio-pika`: tells the service of labels.py a price, and reads which labels it wants.

Run it with ``python -m examples.brokers.plain_rabbitmq amqp://guest:guest@127.0.0.1``, beside the service.

What is told is a CloudEvent in binary mode. An id and a type are all that it needs: the same id again is the same event. What
is read has more headers, which say where in the service's log an event stands.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from uuid import uuid4

import aio_pika
import msgspec


async def tell(url: str, exchange: str, item: str, cents: int) -> None:
    """Tell a price, and return once RabbitMQ keeps it for all who hear it. The service that does has made the exchange."""
    headers: aio_pika.abc.HeadersType = {"cloudEvents:id": str(uuid4()), "cloudEvents:type": "Priced"}
    message = aio_pika.Message(
        msgspec.json.encode({"item": item, "cents": cents}),
        headers=headers,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    async with await aio_pika.connect(url) as connection, connection.channel(on_return_raises=True) as channel:
        prices = await channel.get_exchange(exchange)
        await prices.publish(message, "Priced")


async def wanted(url: str, exchange: str, queue: str = "printer") -> AsyncGenerator[str, None]:
    """Yield the texts of labels; each may come again after a crash, under the same ``cloudEvents:id``."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        printing = await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        # All of it: what no queue takes the service does not publish, as it might be missed.
        await printing.bind(exchange, "#")
        async with printing.iterator() as messages:
            async for message in messages:
                # Besides events there are messages that say how far the service's log has been published.
                if message.headers["cloudEvents:type"] == "LabelWanted":
                    yield msgspec.json.decode(message.body)["text"]
                await message.ack()


async def main(url: str) -> None:
    await tell(url, "prices.events", "tea", 349)
    async for text in wanted(url, "labels.events"):
        print(text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
