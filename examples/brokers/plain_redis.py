"""Plain `redis`: tells the service of labels.py a price, and reads which labels it wants.

What is told is an entry with a CloudEvent's attributes as fields. An id and a type are all that it needs: the same id again is
the same event, and the stream keeps the order. What is read has more fields, which say where in the service's log an event
stands.
"""

import sys
from collections.abc import Generator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec
from redis import Redis, ResponseError


def tell(url: str, stream: str, item: str, cents: int) -> None:
    """Tell a price, and return once Redis has it."""
    data = msgspec.json.encode({"item": item, "cents": cents})
    with Redis.from_url(url) as redis:
        redis.xadd(
            stream, {"ce_id": str(uuid4()), "ce_type": "Priced", "ce_partitionkey": f"item:{item}", "data": data}
        )


def wanted(url: str, stream: str) -> Generator[str, None, None]:
    """Yield the texts of labels; each may come again after a crash, under the same ``ce_id``."""
    with Redis.from_url(url) as redis:
        with suppress(ResponseError):  # The group is there already.
            redis.xgroup_create(stream, "printer", "0", mkstream=True)
        while True:
            found: Any = redis.xreadgroup("printer", "one", {stream: ">"}, count=1, block=1000)
            for id, fields in (entry for _, entries in found or () for entry in entries):
                # Besides events there are entries that say how far the service's log has been published.
                if fields.get(b"ce_type") == b"LabelWanted":
                    yield msgspec.json.decode(fields[b"data"])["text"]
                redis.xack(stream, "printer", id)


if __name__ == "__main__":
    tell(sys.argv[1], "prices:events", "tea", 349)
    for text in wanted(sys.argv[1], "labels:events"):
        print(text)
