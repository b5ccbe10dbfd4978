"""What NATS does besides the ordinary, and what is told of it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import msgspec
import nats
import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from tests.support.servers.alone import own
from tests.support.servers.nats import NatsServer, running_nats
from tests.support.servers.process import free_ports
from twofold.adapters.nats.broker import open_transport
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable, SettingsError
from twofold.limits import BrokerLimits, Limits
from twofold.messaging import Delivery, Published, Transport

_PATIENCE_SECONDS = 30.0

IMPATIENT = Limits(broker=BrokerLimits(answer_seconds=1, missing_seconds=1))


@pytest.fixture
def own_server() -> Iterator[NatsServer]:
    """A server that a test may stop, fill or lock."""
    # With a line of configuration it is one of ours, whatever server is given by URL.
    with own(running_nats("jetstream { }")) as running:
        yield running


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario; what never comes is not waited for forever."""
    asyncio.run(asyncio.wait_for(scenario(), _PATIENCE_SECONDS))


@asynccontextmanager
async def transport(url: str, limits: Limits = IMPATIENT) -> AsyncIterator[Transport]:
    opened = open_transport(url, SystemClock(), limits, ())
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[JetStreamContext]:
    """NATS as an operator, or a program without Twofold, reaches it."""
    connection = await nats.connect(url.partition("?")[0])
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


def delivery(position: int, after: int | None = None) -> Delivery:
    """Return an event of sales at a position, the one after the last one."""
    data = msgspec.Raw(b"{}")
    event = Published(f"id-{position}", "sales", "Ordered", 1, "order:1", position, 5, data)
    return Delivery("sales", [event], position, position - 1 if after is None else after)


async def received(carrier: Transport, count: int, after: int = 0) -> list[str]:
    """Return the ids of so many events, none of which is settled."""
    ids: list[str] = []
    async with aclosing(carrier.subscribe("ledger", "sales", after)) as deliveries:
        while len(ids) < count:
            ids += [event.id for event in (await anext(deliveries)).events]
    return ids


async def failure_of(attempt: Callable[[], Awaitable[Any]]) -> str:
    with pytest.raises(LogUnavailable) as raised:
        await attempt()
    return str(raised.value)


def test_a_server_that_is_away_is_named() -> None:
    """Whoever publishes and whoever reads learns at once where nobody is, without the password."""
    url = f"nats://shop:hidden@127.0.0.1:{free_ports(1)[0]}"

    async def scenario() -> None:
        async with transport(url) as carrier:
            for attempt in (lambda: carrier.publish(delivery(1)), lambda: received(carrier, 1)):
                told = await failure_of(attempt)
                assert "cannot be reached: [Errno" in told
                assert "shop:***@127.0.0.1" in told
                assert "hidden" not in told

    run(scenario)


def test_another_server_of_the_url_is_taken(server: NatsServer) -> None:
    """As long as one of them is there."""
    url = server.places().url.replace("nats://", f"nats://127.0.0.1:{free_ports(1)[0]},")

    async def scenario() -> None:
        for position in range(1, 5):
            async with transport(url) as carrier:
                await carrier.publish(delivery(position))

    run(scenario)


def test_who_is_cancelled_while_it_connects_ends(server: NatsServer) -> None:
    """At whatever moment that is, and leaves nothing behind that reads on."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier:
            for turns in range(100):
                reading = asyncio.create_task(received(carrier, 1))
                for _ in range(turns):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading], timeout=5)
                assert reading.cancelled()

    run(scenario)


def test_a_wrong_password_is_told_as_one() -> None:
    """And not as a server that is away."""
    with own(running_nats('authorization { user: shop, password: "right" }')) as server:

        async def scenario() -> None:
            async with transport(server.url.replace("//", "//shop:hidden@")) as carrier:
                told = await failure_of(lambda: carrier.publish(delivery(1)))
                assert "does not let us in" in told
                assert "hidden" not in told
            async with transport(server.url.replace("//", "//shop:right@")) as carrier:
                await carrier.publish(delivery(1))

        run(scenario)


def test_what_a_user_may_not_do_is_told_at_once() -> None:
    """It names the subject, and does not wait for an answer that never comes."""
    may_not = 'authorization { users: [{user: shop, password: x, permissions: {publish: {deny: "sales.>"}}}] }'
    with own(running_nats(may_not)) as server:

        async def scenario() -> None:
            async with transport(server.url.replace("//", "//shop:x@"), Limits()) as carrier:
                told = await failure_of(lambda: carrier.publish(delivery(1)))
                assert "does not permit it" in told
                assert "sales.events.ordered" in told.lower()

        run(scenario)


def test_a_server_without_jetstream_is_told_as_one() -> None:
    """As it is started without it, or an account has none of it."""
    with own(running_nats("accounts { shops: { users: [{user: shop, password: x}] } }")) as server:

        async def scenario() -> None:
            async with transport(server.url.replace("//", "//shop:x@")) as carrier:
                assert "JetStream" in await failure_of(lambda: carrier.publish(delivery(1)))

        run(scenario)


def test_a_server_that_stands_still_is_not_waited_for(own_server: NatsServer) -> None:
    """Neither publishing, reading nor closing takes longer than it may; all goes on when it does."""

    async def scenario() -> None:
        async with transport(own_server.url) as carrier:
            await carrier.publish(delivery(1))
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                await anext(deliveries)
                own_server.signal(signal.SIGSTOP)
                assert "has not answered in time" in await failure_of(lambda: carrier.publish(delivery(2)))
                assert "has not answered in time" in await failure_of(lambda: anext(deliveries))
            own_server.signal(signal.SIGCONT)
            await carrier.publish(delivery(2))
            assert await received(carrier, 1, after=1) == ["id-2"]

    run(scenario)


def test_a_server_that_is_killed_has_kept_what_it_confirmed(own_server: NatsServer) -> None:
    """Who was reading learns that it is gone, and reads on from what was not settled when it is back."""

    async def scenario() -> None:
        async with transport(own_server.url) as carrier:
            await carrier.publish(delivery(1))
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                await anext(deliveries)
                own_server.kill()
                await failure_of(lambda: anext(deliveries))
            await failure_of(lambda: carrier.publish(delivery(2)))
            own_server.start()
            await carrier.publish(delivery(2))
            assert await received(carrier, 2) == ["id-1", "id-2"]

    run(scenario)


def test_a_full_stream_refuses_and_goes_on_when_there_is_room(server: NatsServer) -> None:
    """Nothing is taken for published that was not kept."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            await carrier.publish(delivery(1))
            await limit(operator, places.stream, max_msgs=1, discard="new")
            told = await failure_of(lambda: carrier.publish(delivery(2)))
            assert "refuses it: maximum messages exceeded" in told
            await limit(operator, places.stream, max_msgs=10)
            await carrier.publish(delivery(2))
            assert await received(carrier, 2) == ["id-1", "id-2"]

    run(scenario)


@pytest.mark.parametrize("size", [2**20 + 1, 2**20])
def test_an_event_that_is_too_large_is_told_as_one(server: NatsServer, size: int) -> None:
    """By itself or with its headers; and the connection is as good as before."""
    places = server.places()
    large = Published("id-1", "sales", "Ordered", 1, "order:1", 1, 5, msgspec.Raw(b'"%s"' % (b"x" * (size - 2))))

    async def scenario() -> None:
        async with transport(places.url) as carrier:
            told = await failure_of(lambda: carrier.publish(Delivery("sales", [large], 1)))
            assert "does not take a message that large" in told
            await carrier.publish(delivery(1))
            assert await received(carrier, 1) == ["id-1"]

    run(scenario)


def test_what_a_stream_has_discarded_is_noticed(server: NatsServer) -> None:
    """By its limits, before everybody has read it: that is told as missing, and never passed by."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            await carrier.publish(delivery(1))
            await limit(operator, places.stream, max_msgs=2)
            for position in (2, 3, 4):
                await carrier.publish(delivery(position))
            told = await failure_of(lambda: received(carrier, 1))
            assert "after position 0 and up to 2 has not come" in told
            await limit(operator, places.stream, max_msgs=-1)
            for position in (1, 2):
                await carrier.publish(delivery(position))
            assert await received(carrier, 4) == ["id-1", "id-2", "id-3", "id-4"]

    run(scenario)


def test_what_is_published_again_comes_again(server: NatsServer) -> None:
    """An operator has it published again for a subscriber whose database went back, or after somebody has removed it."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            await carrier.publish(delivery(1))
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                await anext(deliveries)
                settling = asyncio.ensure_future(anext(deliveries))
                await carrier.publish(delivery(2))
                await settling
            for again in (lambda: asyncio.sleep(0), lambda: operator.purge_stream(places.stream)):
                await again()
                await carrier.publish(delivery(1))
                assert (await received(carrier, 1))[0] == "id-1"

    run(scenario)


def test_a_stream_that_somebody_has_deleted_is_created_again(server: NatsServer) -> None:
    """By whoever publishes, whether or not anybody listens, and by the connection that it has."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            await carrier.publish(delivery(1))
            await operator.delete_stream(places.stream)
            assert "has no stream" in await failure_of(lambda: carrier.publish(delivery(1)))
            await carrier.publish(delivery(1))
            assert await received(carrier, 1) == ["id-1"]

    run(scenario)


def test_a_stream_is_not_created_where_that_is_forbidden(server: NatsServer) -> None:
    """The command that creates it is told."""

    async def scenario() -> None:
        async with transport(f"{server.places().url}&create=no&replicas=3") as carrier:
            for attempt in (lambda: carrier.publish(delivery(1)), lambda: received(carrier, 1)):
                with pytest.raises(SettingsError, match=r"nats stream add t.*-sales-events --subjects .*--replicas 3"):
                    await attempt()

    run(scenario)


def test_a_stream_that_removes_what_one_service_has_read_is_refused(server: NatsServer) -> None:
    """A work queue would give each event to one of the services that subscribe to it."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as operator:
            await operator.add_stream(name=places.stream, subjects=[places.subject], retention="workqueue")
            with pytest.raises(SettingsError, match="has the retention workqueue"):
                await carrier.publish(delivery(1))

    run(scenario)


@pytest.mark.parametrize(
    "options",
    ["stream=a.b", "stream=*%20x", "subject=*..x", "subject=a.>.b", "replicas=0", "create=maybe", "dead_letters=*.x"],
)
def test_places_that_cannot_be_are_refused_when_the_transport_is_opened(options: str) -> None:
    """With an example of some that can."""
    with pytest.raises(SettingsError, match="For example nats://"):
        open_transport(f"nats://127.0.0.1?{options}", SystemClock(), Limits(), ["sales"])


def test_what_is_no_event_is_kept_with_its_headers_and_the_reason(server: NatsServer) -> None:
    """Byte for byte, in a stream of the service that cannot read it; what comes after it goes on."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as others:
            await carrier.publish(delivery(1))
            headers = {"ce-id": "7", "ce-type": "Broken", "X-Theirs": "kept"}
            await others.publish(places.subject, b"\xff\x00{", headers=headers | {"Nats-Msg-Id": "theirs"})
            await others.publish(places.subject, b"{}", headers=headers | {"ce-subject": "%ff"})
            await carrier.publish(delivery(2))
            assert await received(carrier, 2) == ["id-1", "id-2"]
            broken, unreadable = [await others.get_msg(places.dead_letters, seq=number) for number in (1, 2)]
            assert broken.data == b"\xff\x00{"
            origin = {
                "twofold-Nats-Msg-Id": "theirs",
                "twofold-source": "sales",
                "twofold-place": f"{places.stream}/2, by {places.subject}",
            }
            assert (broken.headers or {}).items() >= (headers | origin).items()
            assert "no JSON" in (broken.headers or {})["twofold-reason"]
            assert "ce-subject" in (unreadable.headers or {})["twofold-reason"]

    run(scenario)


def test_what_others_publish_keeps_its_order_when_it_comes_again(server: NatsServer) -> None:
    """They give no positions by which it could be put in order: so it comes by the stream, what was not settled first."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, client(server.url) as others:
            await others.add_stream(name=places.stream, subjects=[places.subject])
            await publish(others, places.subject, "1", "2")
            assert await received(carrier, 2) == ["1", "2"]
            await publish(others, places.subject, "3", "4")
            async with aclosing(carrier.subscribe("ledger", "sales", 0)) as deliveries:
                found = await anext(deliveries)
            assert [event.id for event in found.events] == ["1", "2", "3", "4"]
            assert found.redelivered == 2

    run(scenario)


def test_two_that_read_at_once_notice_it(server: NatsServer) -> None:
    """As while a process takes over from a slow one: what went to the other is missed by nobody, and keeps its order."""
    places = server.places()

    async def scenario() -> None:
        async with transport(places.url) as carrier, transport(places.url) as other, client(server.url) as others:
            await others.add_stream(name=places.stream, subjects=[places.subject])
            reading = [asyncio.ensure_future(received(each, 1)) for each in (carrier, other)]
            while (await consumer_of(others, places.stream)).num_waiting != len(reading):
                await asyncio.sleep(0.01)
            await publish(others, places.subject, "1", "2", "3")
            told = await asyncio.gather(*reading, return_exceptions=True)
            assert any("to another process as well" in str(each) for each in told)
            assert await received(carrier, 3) == ["1", "2", "3"]

    run(scenario)


async def limit(operator: JetStreamContext, stream: str, **limits: Any) -> None:
    """Change the limits of a stream."""
    await operator.update_stream((await operator.stream_info(stream)).config.evolve(**limits))


async def publish(others: JetStreamContext, subject: str, *ids: str) -> None:
    """Publish events as a program without Twofold does."""
    for id in ids:
        await others.publish(subject, b"{}", headers={"ce-id": id, "ce-type": "Ordered"})


async def consumer_of(operator: JetStreamContext, stream: str) -> ConsumerInfo:
    """Return how far ledger is."""
    while True:
        with suppress(NotFoundError):
            found: ConsumerInfo = await operator.consumer_info(stream, "ledger")
            return found
