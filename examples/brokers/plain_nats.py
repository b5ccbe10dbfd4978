"""Plain `nats-py`: tells the service of labels.py a price, and reads which labels it wants.

What is told is a CloudEvent in binary mode. An id and a type are all that it needs: the same id again is the same event, and
the stream keeps the order. What is read has more headers, which say where in the service's log an event stands.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from urllib.parse import quote
from uuid import uuid4

import msgspec
import nats


async def tell(server: str, subject: str, item: str, cents: int) -> None:
    """Tell a price, and return once NATS keeps it. The stream is made by the service that hears it, or by hand."""
    async with await nats.connect(server) as connection:
        id = str(uuid4())
        headers = {"ce-id": id, "ce-type": "Priced", "ce-partitionkey": quote(f"item:{item}"), "Nats-Msg-Id": id}
        data = msgspec.json.encode({"item": item, "cents": cents})
        await connection.jetstream().publish(subject, data, headers=headers)


async def wanted(server: str, stream: str) -> AsyncGenerator[str, None]:
    """Yield the texts of labels; each may come again after a crash, under the same ``ce-id``."""
    async with await nats.connect(server) as connection:
        reading = await connection.jetstream().pull_subscribe("", durable="printer", stream=stream)
        while True:
            try:
                (message,) = await reading.fetch(1, timeout=1)
            except nats.errors.TimeoutError:
                continue
            # Besides events there are messages that say how far the service's log has been published.
            if message.headers and message.headers.get("ce-type") == "LabelWanted":
                yield msgspec.json.decode(message.data)["text"]
            await message.ack()


async def main(server: str) -> None:
    """Tell the price of tea, and print what is wanted."""
    await tell(server, "prices.events.Priced", "tea", 349)
    async for text in wanted(server, "labels-events"):
        print(text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
