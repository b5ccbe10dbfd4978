"""Plain `confluent-kafka`: tells the service of labels.py a price, and reads which labels it wants.

What is told is a CloudEvent in binary mode. An id and a type are all that it needs: the same id again is the same event, and
order holds within a key. What is read has more headers, which say where in the service's log an event stands.
"""

import sys
from collections.abc import Iterator
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer, Producer


def tell(servers: str, topic: str, item: str, cents: int) -> None:
    """Tell a price, and return once Kafka keeps it. The topic is made by the service that hears it, or by hand."""
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random", "enable.idempotence": True})
    data = msgspec.json.encode({"item": item, "cents": cents})
    producer.produce(topic, data, key=f"item:{item}", headers={"ce_id": str(uuid4()), "ce_type": "Priced"})
    producer.flush()


def wanted(servers: str, topic: str) -> Iterator[str]:
    """Yield the texts of labels; each may come again after a crash, under the same ``ce_id``."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "printer", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        while True:
            message = consumer.poll(1.0)
            # Besides events there are messages that say how far the service's log has been published.
            if message and not message.error() and dict(message.headers() or ()).get("ce_type") == b"LabelWanted":
                yield msgspec.json.decode(message.value() or b"")["text"]
    finally:
        consumer.close()


if __name__ == "__main__":
    tell(sys.argv[1], "prices.events", "tea", 349)
    for text in wanted(sys.argv[1], "labels.events"):
        print(text)
