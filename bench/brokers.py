"""Kafka between services: publishing, hearing, and a durable effect, beside the bare client and beside what teams run today.

``python -m bench.brokers`` starts an Apache Kafka of one broker (or takes ``--kafka 127.0.0.1:9092``), and measures in rounds:
the same messages, keys, headers, partitions and batches for all. Published is what all replicas in sync have confirmed
(``acks=all``, idempotent). Heard is what was committed, synchronously, after each batch. An effect is durable in an SQLite
file (WAL, ``synchronous=FULL``) before its offset is committed, and happens once for each id.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer
from faststream import AckPolicy
from faststream.confluent import KafkaBroker as FastStreamBroker
from faststream.confluent import KafkaMessage

from tests.messaging.service_pair import buying
from tests.support.servers.kafka import running_kafka
from tests.support.waiting import until
from twofold.adapters.kafka.broker import open_transport
from twofold.adapters.kafka.letters import letter_of
from twofold.clock import SystemClock
from twofold.followers import checkpoints
from twofold.limits import Limits
from twofold.messaging import Delivery, Published, Transport, inbox_name, messages
from twofold.service import Settings
from twofold.views import table_name

BATCH, ROUNDS, EVENTS, EFFECTS, KEYS = 500, 3, 50_000, 20_000, 1_000
PARTITIONS = 6
_DATA = msgspec.Raw(msgspec.json.encode({"item": "tea", "units": 2, "remark": "as it is sold at the till " * 4}))
_topics = (f"till-{number}" for number in count(1))

Measured = Callable[[str, int], Coroutine[Any, Any, float]]


def deliveries(events: int) -> Iterator[Delivery]:
    """Yield what a relay publishes, batch by batch."""
    for after in range(0, events, BATCH):
        some = [
            Published(f"sold-{n}", "till", "Sold", 1, f"item:{n % KEYS}", n, 1_800_000_000_000_000, _DATA)
            for n in range(after + 1, after + BATCH + 1)
        ]
        yield Delivery("till", some, after + BATCH, after)


def transport(servers: str, topic: str) -> Transport:
    url = f"kafka://{servers}?topic={topic}&partitions={PARTITIONS}"
    return open_transport(url, SystemClock(), Limits(), ["till"])


def letters(events: int) -> list[list[Any]]:
    return [[letter_of(each) for each in messages(delivery)] for delivery in deliveries(events)]


async def filled(servers: str, topic: str, events: int) -> None:
    """Publish as many events to a topic."""
    telling = transport(servers, topic)
    for delivery in deliveries(events):
        await telling.publish(delivery)
    await telling.close()


# Publishing.


async def published_bare(servers: str, events: int) -> float:
    """The client alone, with messages that are made before the time is taken: nothing is checked or encoded."""
    topic = next(_topics)
    await filled(servers, topic, BATCH)
    made = letters(events)
    config = {"bootstrap.servers": servers, "acks": "all", "enable.idempotence": True, "linger.ms": 50}
    producer = Producer({**config, "partitioner": "murmur2_random"})
    begun = time.perf_counter()
    for batch in made:
        for key, data, headers in batch:
            producer.produce(topic, data, key, headers=headers)
        producer.flush()
    return events / (time.perf_counter() - begun)


async def published_here(servers: str, events: int) -> float:
    topic = next(_topics)
    await filled(servers, topic, BATCH)
    told = [*deliveries(events)]
    telling = transport(servers, topic)
    await telling.publish(told[0])
    begun = time.perf_counter()
    for delivery in told:
        await telling.publish(delivery)
    seconds = time.perf_counter() - begun
    await telling.close()
    return events / seconds


# Hearing.


async def heard_bare(servers: str, events: int) -> float:
    """The client alone: batches, of which nothing is decoded, and a commit after each."""
    topic = next(_topics)
    await filled(servers, topic, events)
    consumer = _consumer(servers, topic)
    heard, begun = len(consumer.consume(1, 30)), time.perf_counter()
    while heard < events:
        heard += len(consumer.consume(BATCH, 1))
        consumer.commit(asynchronous=False)
    seconds = time.perf_counter() - begun
    consumer.close()
    return events / seconds


async def heard_here(servers: str, events: int) -> float:
    """Decoded, checked and in order."""
    topic = next(_topics)
    await filled(servers, topic, events)
    hearing = transport(servers, topic)
    begun = 0.0
    async with aclosing(hearing.subscribe("buying", "till", 0)) as heard:
        async for delivery in heard:
            begun = begun or time.perf_counter()
            if delivery.position == events:
                break
    seconds = time.perf_counter() - begun
    await hearing.close()
    return events / seconds


# An effect that is durable, once for each id.


async def effect_by_hand(servers: str, events: int) -> float:
    """A loop over the client as a careful team writes it."""
    topic = next(_topics)
    await filled(servers, topic, events)
    with effects() as connection:
        consumer = _consumer(servers, topic)
        heard, begun = 0, 0.0
        while heard < events:
            batch = consumer.consume(BATCH, 1)
            begun = begun or time.perf_counter()
            take_effect(connection, [(_id(dict(each.headers() or ())), each.value()) for each in batch])
            consumer.commit(asynchronous=False)
            heard += len(batch)
        seconds = time.perf_counter() - begun
        consumer.close()
    return events / seconds


async def effect_by_faststream(servers: str, events: int) -> float:
    """FastStream with batches, and acknowledging by hand after the commit."""
    topic = next(_topics)
    await filled(servers, topic, events)
    broker = FastStreamBroker(servers, logger=None)
    done, heard, begun = asyncio.Event(), 0, 0.0
    with effects() as connection:

        @broker.subscriber(
            topic, group_id=f"{topic}-faststream", auto_offset_reset="earliest", batch=True, max_records=BATCH,
            ack_policy=AckPolicy.MANUAL,
        )  # fmt: skip
        async def sold(bodies: list[Any], message: KafkaMessage) -> None:
            nonlocal heard, begun
            begun = begun or time.perf_counter()
            raws: Any = message.raw_message
            take_effect(connection, [(_id(dict(each.headers() or ())), each.value()) for each in raws])
            await message.ack()
            heard += len(raws)
            if heard >= events:
                done.set()

        async with broker:
            await broker.start()
            await done.wait()
            seconds = time.perf_counter() - begun
    return events / seconds


async def effect_here(servers: str, events: int) -> float:
    """Recorded in the own log by the inbox, once; and a view's rows are filled from there."""
    topic = next(_topics)
    await filled(servers, topic, events)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(log=f"sqlite:///{folder}/log.db", views=f"sqlite:///{folder}/views.db")
        async with buying.run(settings, transport=transport(servers, topic), roles=["relay", "followers"]) as running:
            views, inbox, view = running.views, inbox_name("till"), table_name(next(iter(buying.declaration.views)))

            async def has_begun() -> bool:
                return await checkpoints.position(views, inbox) > 0

            async def is_through() -> bool:
                return await checkpoints.position(views, view) >= events

            await until(has_begun)
            heard, begun = await checkpoints.position(views, inbox), time.perf_counter()
            await until(is_through, seconds=120)
            return (events - heard) / (time.perf_counter() - begun)


def _consumer(servers: str, topic: str) -> Consumer:
    config = {"bootstrap.servers": servers, "group.id": f"{topic}-group", "auto.offset.reset": "earliest"}
    consumer = Consumer({**config, "enable.auto.commit": False, "fetch.wait.max.ms": 100})
    consumer.subscribe([topic])
    return consumer


def _id(headers: dict[str, Any]) -> bytes:
    found: bytes = headers["ce_id"]
    return found


@contextmanager
def effects() -> Iterator[sqlite3.Connection]:
    """Give a database in which an id takes effect once."""
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "effects.db")) as connection:
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE heard (id TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID;"
        )
        yield connection


def take_effect(connection: sqlite3.Connection, found: list[tuple[bytes, Any]]) -> None:
    with connection:
        connection.executemany("INSERT OR IGNORE INTO heard VALUES (?, ?)", found)


MEASURED: dict[str, dict[str, tuple[Measured, int]]] = {
    "published, by batches of 500": {
        "the client alone": (published_bare, EVENTS),
        "Twofold": (published_here, EVENTS),
    },
    "heard, a commit for each batch": {
        "the client alone": (heard_bare, EVENTS),
        "Twofold": (heard_here, EVENTS),
    },
    "with a durable effect": {
        "a loop by hand": (effect_by_hand, EFFECTS),
        "FastStream": (effect_by_faststream, EFFECTS),
        "Twofold": (effect_here, EFFECTS),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.brokers", description=__doc__)
    parser.add_argument("--kafka", metavar="HOST:PORT", help="measure on this one (default: start one)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    if arguments.kafka:
        measure(arguments.kafka, arguments.rounds)
    else:
        with running_kafka() as server:
            measure(server.servers, arguments.rounds)


def measure(servers: str, rounds: int) -> None:
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for what, contenders in MEASURED.items():
            for who, (run, events) in contenders.items():
                found.setdefault((what, who), []).append(asyncio.run(run(servers, events)))
    for what, contenders in MEASURED.items():
        first = statistics.median(found[what, next(iter(contenders))])
        for who in contenders:
            rates = sorted(found[what, who])
            median = statistics.median(rates)
            print(
                f"{what:34} {who:18} {median:10,.0f} messages/s  {median / first:5.2f}  "
                f"[{rates[0]:,.0f} to {rates[-1]:,.0f}]"
            )


if __name__ == "__main__":
    main()
