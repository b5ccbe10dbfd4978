"""FastStream: tells the service of labels.py a price for each label that it wants, and nothing is known of Twofold here.

Run it with ``KAFKA=127.0.0.1:9092 faststream run examples.brokers.faststream_kafka:app``.
"""

import os
from typing import Any

import msgspec
from faststream import FastStream
from faststream.confluent import KafkaBroker, KafkaMessage

PRICES = os.environ.get("PRICES", "prices.events")
LABELS = os.environ.get("LABELS", "labels.events")

broker = KafkaBroker(os.environ.get("KAFKA", "127.0.0.1:9092"))
app = FastStream(broker)


@broker.subscriber(LABELS, group_id="pricing", auto_offset_reset="earliest")
async def price(message: KafkaMessage) -> None:
    """Price what a label is wanted for. The same event may come again after a crash, and makes the same id then."""
    if message.headers["ce_type"] == "LabelWanted":
        wanted: dict[str, Any] = msgspec.json.decode(message.body)
        headers = {"ce_id": f"price-for-{message.headers['ce_id']}", "ce_type": "Priced"}
        said = {"item": wanted["item"], "cents": 100 * len(wanted["text"])}
        await broker.publish(said, PRICES, key=f"item:{wanted['item']}".encode(), headers=headers)
