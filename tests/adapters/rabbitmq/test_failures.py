"""What RabbitMQ does besides the ordinary, and what is told of it."""

import asyncio
import os
import signal
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import aio_pika
import msgspec
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity

from tests.adapters.rabbitmq.conftest import places
from tests.adapters.rabbitmq.rabbitmq_under_test import RabbitMQUnderTest
from tests.support.servers.process import free_ports
from tests.support.servers.rabbitmq import RabbitMQServer
from twofold.adapters.rabbitmq import open_transport
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable, SettingsError
from twofold.limits import BrokerLimits, Limits
from twofold.messaging import Delivery, Published, Transport

_PATIENCE_SECONDS = 60.0

PATIENT = Limits(broker=BrokerLimits(answer_seconds=20))
IMPATIENT = Limits(broker=BrokerLimits(answer_seconds=1))


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario; what never comes is not waited for forever."""
    asyncio.run(asyncio.wait_for(scenario(), _PATIENCE_SECONDS))


@asynccontextmanager
async def transport(url: str, limits: Limits = PATIENT) -> AsyncIterator[Transport]:
    opened = open_transport(url, SystemClock(), limits, ())
    try:
        yield opened
    finally:
        await opened.close()


@contextmanager
def user_of(server: RabbitMQServer, *permissions: str) -> Iterator[str]:
    """Give the URL of a user who may configure, write and read what matches."""
    server.control("add_user", "clerk", "clerk")
    server.control("set_permissions", "clerk", *permissions)
    yield server.url.replace("guest:guest", "clerk:clerk")
    server.control("delete_user", "clerk")


def delivery(position: int) -> Delivery:
    event = Published(f"id-{position}", "sales", "Ordered", 1, "order:1", position, 5, msgspec.Raw(b"{}"))
    return Delivery("sales", [event], position, position - 1)


async def received(carrier: Transport, up_to: int, after: int = 0) -> list[int]:
    """Return the positions of events up to one, none of which is settled."""
    positions: list[int] = []
    async with aclosing(carrier.subscribe("ledger", "sales", after)) as deliveries:
        while not positions or positions[-1] < up_to:
            positions += [event.position for event in (await anext(deliveries)).events]
    return positions


async def failure_of(attempt: Awaitable[Any], kind: type[Exception] = LogUnavailable) -> str:
    with pytest.raises(kind) as raised:
        await attempt
    return str(raised.value)


def test_what_no_queue_takes_is_not_published(url: str) -> None:
    """It says who has to start, or what to name; once somebody has a queue, the same is published, and nothing is missed."""

    async def scenario() -> None:
        async with transport(url) as carrier:
            told = await failure_of(carrier.publish(delivery(1)), SettingsError)
            assert "sales" in told
            assert "Ordered" in told
            assert "?subscribers=" in told
            hearing = asyncio.ensure_future(received(carrier, 1))
            await RabbitMQUnderTest(url).existing(RabbitMQUnderTest(url).settings.queue("ledger", "sales"))
            await carrier.publish(delivery(1))
            assert await hearing == [1]

    run(scenario)


def test_queues_are_made_for_those_who_are_named(rabbitmq_url: str) -> None:
    """Of all sources or of one, as all services may have the same URL; nobody hears itself."""
    broker = RabbitMQUnderTest(f"{rabbitmq_url}?{places('ledger,sales:stock,till:audit,sales')}")

    async def scenario() -> None:
        async with transport(broker.url) as carrier:
            await carrier.publish(delivery(1))
        async with broker.channel() as channel:
            for group in ("ledger", "stock"):
                queue = await channel.get_queue(broker.settings.queue(group, "sales"))
                assert queue.declaration_result.message_count == 1
        for group in ("audit", "sales"):
            with pytest.raises(ChannelNotFoundEntity):
                async with broker.channel() as channel:
                    await channel.get_queue(broker.settings.queue(group, "sales"))

    run(scenario)


def test_a_server_that_is_away_is_named_and_another_one_is_asked(broker: RabbitMQUnderTest) -> None:
    """Whoever publishes and whoever reads learns at once where nobody is; a second one in the URL is used."""
    away = f"127.0.0.1:{free_ports(1)[0]}"

    async def scenario() -> None:
        async with transport(f"amqp://shop:hidden@{away}") as carrier:
            for attempt in (carrier.publish(delivery(1)), received(carrier, 1)):
                told = await failure_of(attempt)
                assert away in told
                assert "hidden" not in told
        async with transport(broker.url.replace("@", f"@{away},")) as carrier:
            await carrier.publish(delivery(1))
            assert await received(carrier, 1) == [1]

    run(scenario)


def test_a_virtual_host_that_is_not_there_is_named(broker: RabbitMQUnderTest) -> None:
    """With the command that makes it."""

    async def scenario() -> None:
        async with transport(f"{broker.server}/nowhere") as carrier:
            for attempt in (carrier.publish(delivery(1)), received(carrier, 1)):
                told = await failure_of(attempt, SettingsError)
                assert "nowhere" in told
                assert "add_vhost" in told

    run(scenario)


def test_a_queue_that_is_declared_otherwise_is_named(broker: RabbitMQUnderTest) -> None:
    """Reading from it would keep less than is promised."""
    queue = broker.settings.queue("ledger", "sales")

    async def scenario() -> None:
        async with broker.channel() as channel:
            await channel.declare_queue(queue, durable=True)
        async with transport(broker.url) as carrier:
            for attempt in (carrier.publish(delivery(1)), received(carrier, 1)):
                told = await failure_of(attempt, SettingsError)
                assert queue in told
                assert "delete_queue" in told

    run(scenario)


def test_a_queue_that_is_deleted_is_told_and_made_again(broker: RabbitMQUnderTest) -> None:
    """Whoever reads from it does not wait for what cannot come, and whoever publishes does not publish to nobody."""

    async def scenario() -> None:
        async with transport(broker.url) as carrier, aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
            await carrier.publish(delivery(1))
            assert (await anext(deliveries)).position == 1
            await broker.clear()
            told = await failure_of(anext(deliveries))
            assert broker.settings.queue("ledger", "sales") in told
            await failure_of(carrier.publish(delivery(2)), Exception)
            await carrier.publish(delivery(2))
            assert await received(carrier, 2, after=1) == [2]

    run(scenario)


def test_what_belongs_before_it_may_be_far_behind_it(broker: RabbitMQUnderTest) -> None:
    """As when a source publishes again what was lost: more has come meanwhile than RabbitMQ sends ahead."""
    few = Limits(broker=BrokerLimits(answer_seconds=20, batch_events=10))

    async def scenario() -> None:
        async with transport(broker.url, few) as carrier:
            for position in [*range(2, 81), 1]:
                await carrier.publish(delivery(position))
            assert await received(carrier, 80) == [*range(1, 81)]

    run(scenario)


def test_what_is_set_aside_keeps_its_properties_but_those_that_would_lose_it(broker: RabbitMQUnderTest) -> None:
    """It would expire, or be refused for the name of another user."""
    message = aio_pika.Message(
        b"\xff", headers={"n": 1, "list": ["a"]}, content_type="image/png", message_id="m-1", correlation_id="c-1",
        priority=3, expiration=60, user_id="guest",
    )  # fmt: skip

    async def scenario() -> None:
        async with transport(broker.url) as carrier:
            reading = asyncio.ensure_future(received(carrier, 1))
            await broker.existing(broker.settings.queue("ledger", "sales"))
            await broker.put_message(message)
            await carrier.publish(delivery(1))
            assert await reading == [1]
        (kept,) = await broker.read(broker.settings.dead_letters("ledger"))
        assert (kept.body, kept.content_type, kept.message_id) == (b"\xff", "image/png", "m-1")
        assert (kept.correlation_id, kept.priority, kept.expiration, kept.user_id) == ("c-1", 3, None, None)
        assert kept.headers.items() >= {**message.headers, "twofold-source": "sales"}.items()
        assert broker.settings.queue("ledger", "sales") in str(kept.headers["twofold-place"])

    run(scenario)


def test_headers_that_the_client_reads_and_does_not_write_are_kept(
    broker: RabbitMQUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that is no UTF-8, also where it says what a message is; a number with a fraction becomes a text."""
    headers: Any = {"cloudEvents:id": "\udcff\udcfe", "nested": {"texts": ["\udcff"]}, "price": 0.1}

    async def scenario() -> None:
        async with transport(broker.url) as carrier:
            with monkeypatch.context() as patch:
                patch.setattr("pamqp.encode.long_string", any_text)
                await broker.put_message(aio_pika.Message(b"{}", headers=headers))
            await carrier.publish(delivery(1))
            assert await received(carrier, 1) == [1]
        (kept,) = await broker.read(broker.settings.dead_letters("ledger"))
        assert kept.headers["cloudEvents:id"] == b"\xff\xfe"
        assert kept.headers["nested"] == {"texts": [b"\xff"]}
        assert float(str(kept.headers["price"])) == pytest.approx(0.1)
        assert "'id'" in str(kept.headers["twofold-reason"])

    run(scenario)


def any_text(text: str) -> bytes:
    """Write a text as other clients do, which do not look whether it is UTF-8."""
    data = text.encode(errors="surrogateescape")
    return struct.pack(">I", len(data)) + data


def test_what_others_have_to_make_is_used_and_never_made(own_rabbitmq: RabbitMQServer) -> None:
    """Who may not configure anything is told so, and with create=no needs no such right."""
    ours = RabbitMQUnderTest(f"{own_rabbitmq.url}?{places('')}")

    async def scenario(url: str) -> None:
        async with transport(url) as carrier:
            for attempt in (carrier.publish(delivery(1)), received(carrier, 1)):
                assert "create=no" in await failure_of(attempt, SettingsError)
        async with transport(f"{url}&create=no") as carrier:
            for attempt in (carrier.publish(delivery(1)), received(carrier, 1)):
                assert ours.settings.exchange("sales") in await failure_of(attempt, SettingsError)
            await ours.declare("ledger", "sales")
            await carrier.publish(delivery(1))
            assert await received(carrier, 1) == [1]

    with user_of(own_rabbitmq, "^$", ".*", ".*") as url:
        run(lambda: scenario(f"{url}?{ours.url.partition('?')[2]}"))


def test_nothing_is_taken_while_it_is_low_on_memory(own_rabbitmq: RabbitMQServer) -> None:
    """That is what is told, and not that it is slow; what was published before is read meanwhile. Later it goes on."""
    url = f"{own_rabbitmq.url}?{places()}"

    async def scenario() -> None:
        async with transport(url, IMPATIENT) as carrier:
            await carrier.publish(delivery(1))
            own_rabbitmq.control("set_vm_memory_high_watermark", "0.00001")
            for _ in range(2):
                told = await failure_of(carrier.publish(delivery(2)))
                assert "low on memory or disk" in told
            assert await received(carrier, 1) == [1]
            own_rabbitmq.control("set_vm_memory_high_watermark", "0.4")
            while True:
                try:
                    await carrier.publish(delivery(2))
                    break
                except LogUnavailable:
                    continue
            assert await received(carrier, 2) == [1, 2]

    run(scenario)


def test_an_event_that_is_too_large_is_told_as_that(own_rabbitmq: RabbitMQServer) -> None:
    """It is not skipped, and is published as soon as RabbitMQ takes it."""
    url = f"{own_rabbitmq.url}?{places()}"
    large = msgspec.structs.replace(delivery(1).events[0], data=msgspec.Raw(b'"%s"' % (b"x" * 2000)))

    def limit(size: int) -> None:
        own_rabbitmq.control("eval", f"application:set_env(rabbit, max_message_size, {size}).")

    async def scenario() -> None:
        limit(1000)
        try:
            async with transport(url) as carrier:
                told = await failure_of(carrier.publish(Delivery("sales", [large], 1, 0)), SettingsError)
                assert "max_message_size" in told
        finally:
            limit(134217728)
        async with transport(url) as carrier:
            await carrier.publish(Delivery("sales", [large], 1, 0))
            assert await received(carrier, 1) == [1]

    run(scenario)


def test_one_that_stands_still_is_told_in_bounded_time(own_rabbitmq: RabbitMQServer) -> None:
    """Whoever publishes or begins to read; when it goes on, so do they."""
    url = f"{own_rabbitmq.url}?{places()}"

    async def scenario() -> None:
        async with transport(url, IMPATIENT) as carrier:
            await carrier.publish(delivery(1))
            os.kill(own_rabbitmq.pid, signal.SIGSTOP)
            try:
                for attempt in (carrier.publish(delivery(2)), received(carrier, 1)):
                    assert "has not answered within 1 s" in await failure_of(attempt)
            finally:
                os.kill(own_rabbitmq.pid, signal.SIGCONT)
        async with transport(url) as carrier:
            await carrier.publish(delivery(2))
            assert await received(carrier, 2) == [1, 2]

    run(scenario)


def test_a_message_may_come_as_often_as_it_has_to(own_rabbitmq: RabbitMQServer) -> None:
    """The limit after which RabbitMQ 4 drops one is out of reach, in queues and in dead letters."""
    ours = RabbitMQUnderTest(f"{own_rabbitmq.url}?{places()}")

    async def scenario() -> None:
        async with transport(ours.url) as carrier:
            reading = asyncio.ensure_future(received(carrier, 1))
            await ours.put({}, {}, b"")
            await carrier.publish(delivery(1))
            assert await reading == [1]

    run(scenario)
    listed = own_rabbitmq.control("list_queues", "--formatter", "json", "name", "arguments")
    arguments = {queue["name"]: str(queue["arguments"]) for queue in msgspec.json.decode(listed)}
    for name in (ours.settings.queue("ledger", "sales"), ours.settings.dead_letters("ledger")):
        assert "1000000000" in arguments[name]


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("amqp://", "which server"),
        ("amqp://rabbitmq?queue=sales", "no option 'queue'"),
        ("amqp://rabbitmq?create=maybe", "create has to be"),
        ("amqps://rabbitmq?ca=/nowhere.pem", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, flaw: str) -> None:
    """Before anything is opened, and with an example."""
    with pytest.raises(SettingsError, match=flaw) as raised:
        open_transport(url, SystemClock(), Limits(), ())
    assert "For example amqp://" in str(raised.value)
