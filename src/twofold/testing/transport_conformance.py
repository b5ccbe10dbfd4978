"""What a transport must hold to, as tests. Whoever writes an adapter runs them on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar

import msgspec
import pytest

from twofold.messages import encode
from twofold.messaging import Delivery, Published
from twofold.processes import CommandSent

T = TypeVar("T")

SOURCE = "sales"
"""The service that publishes in these tests."""

SUBSCRIBERS = ("ledger", "stock")
"""The services that subscribe to it, each a group of its own."""

_PATIENCE_SECONDS = 30.0


class Exchange(Protocol):
    """A transport as the tests use it: `twofold.messaging.Transport` has both methods."""

    async def publish(self, delivery: Delivery) -> None:
        """Publish for `SOURCE`. Deliveries come with positions from 1 on, without gaps between them."""
        ...

    def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        """Subscribe as one of `SUBSCRIBERS`."""
        ...


Exchanges = Callable[[], AbstractAsyncContextManager[Exchange]]


class TransportConformance:
    """Subclass it, and give it a transport::

        class TestMyTransport(TransportConformance):
            @pytest.fixture
            def exchanges(self):
                @asynccontextmanager
                async def exchange():
                    transport = MyTransport(...)
                    yield transport
                    await transport.close()

                return exchange

    A transport that reads a source's log by itself (``pushes = False``) is given as an object of which ``publish`` appends
    the delivery's events to such a log, and one event that is not published where the delivery has none.
    """

    @pytest.fixture
    def exchanges(self) -> Exchanges:
        """Give a function that opens a new exchange, in which nothing has been published."""
        raise NotImplementedError("Override the fixture `exchanges`.")

    def run(self, exchanges: Exchanges, scenario: Callable[[Exchange], Awaitable[T]]) -> T:
        """Run a scenario on a new exchange; what a broken transport never delivers is not waited for forever."""

        async def whole() -> T:
            async with exchanges() as exchange, asyncio.timeout(_PATIENCE_SECONDS):
                return await scenario(exchange)

        return asyncio.run(whole())

    def test_an_event_arrives_as_it_was_published(self, exchanges: Any) -> None:
        """Data untouched to the byte, with all that says what it is and where it comes from."""
        data = '{"text": "Ärger\\u0000 🙂", "n": 1.0,  "big": 9007199254740993}'.encode()
        event = _event(
            1, "order:o'brien|Ä 🙂", data=data, correlation="request-1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"
        )

        async def scenario(exchange: Exchange) -> None:
            async with _publishing(exchange, [_delivery(event)]):
                (received,) = await _receive(exchange, "ledger", 1)
                assert _content(received) == _content(event)

        self.run(exchanges, scenario)

    def test_what_is_for_one_service_says_so(self, exchanges: Any) -> None:
        """A command, or what has become of one: it comes with whom it is for, and with who has sent it."""
        sent = CommandSent(id="c-1", service="ledger", command="Post", data=msgspec.Raw(b'{"cents":1}'), order="c-1")
        name, data = CommandSent.message_name, msgspec.Raw(encode(sent))
        event = Published(
            "id-1",
            SOURCE,
            name,
            1,
            "twofold.command:c-1",
            1,
            5,
            data,
            correlation="request-1",
            to="ledger",
            actor="ann",
        )

        async def scenario(exchange: Exchange) -> None:
            async with _publishing(exchange, [_delivery(event)]):
                (received,) = await _receive(exchange, "ledger", 1)
                assert _content(received) == _content(event)

        self.run(exchanges, scenario)

    def test_every_group_gets_everything_in_order(self, exchanges: Any) -> None:
        """Each at its own pace; within a key, order is that of the source's log."""
        deliveries = _deliveries([3, 1, 0, 500, 2])

        async def scenario(exchange: Exchange) -> None:
            async with _publishing(exchange, deliveries):
                received = await asyncio.gather(*[_receive(exchange, group, 506) for group in SUBSCRIBERS])
            for events in received:
                assert [_content(event) for event in events] == [
                    _content(e) for each in deliveries for e in each.events
                ]

        self.run(exchanges, scenario)

    def test_who_subscribes_late_misses_nothing(self, exchanges: Any) -> None:
        """Services start in any order."""

        async def scenario(exchange: Exchange) -> None:
            async with _publishing(exchange, _deliveries([2, 2])):
                early = asyncio.create_task(_receive(exchange, "ledger", 4))
                await _turns()
                assert [event.position for event in await _receive(exchange, "stock", 4)] == [1, 2, 3, 4]
                assert [event.position for event in await early] == [1, 2, 3, 4]

        self.run(exchanges, scenario)

    def test_what_was_not_settled_is_delivered_again(self, exchanges: Any) -> None:
        """A subscriber that ends in the middle of a delivery has not had it, and the next one gets it from there on."""

        async def scenario(exchange: Exchange) -> None:
            async with _publishing(exchange, _deliveries([1, 2, 1]), beside="stock") as others:
                async with aclosing(_subscription(exchange, "ledger")) as first:
                    settled = await _next_positions(first)
                    assert settled[0] == 1
                    # If all came at once, it is this that nobody has settled.
                    had = await _next_positions(first) if settled[-1] < 4 else settled
                after = 0 if had is settled else settled[-1]
                async with aclosing(_subscription(exchange, "ledger", after)) as second:
                    again = await _positions_up_to(second, 4)
                    assert again == [*range(again[0], 5)]
                    assert again[0] <= had[0]
                    await _settle(second)
                assert await others(4) == [1, 2, 3, 4]

        self.run(exchanges, scenario)

    def test_a_failing_subscriber_gets_the_same_again_and_again(self, exchanges: Any) -> None:
        """As often as it takes."""

        async def scenario(exchange: Exchange) -> None:
            async with _publishing(exchange, _deliveries([1]), beside="stock") as others:
                for _ in range(5):
                    async with aclosing(_subscription(exchange, "ledger")) as subscription:
                        assert await _next_positions(subscription) == [1]
                assert await others(1) == [1]

        self.run(exchanges, scenario)

    def test_what_is_said_to_be_published_cannot_be_missed(self, exchanges: Any) -> None:
        """The source forgets a delivery when `publish` returns: by then it must be settled, or kept for everyone."""

        async def scenario(exchange: Exchange) -> None:
            (delivery,) = _deliveries([1])
            publishing = asyncio.create_task(exchange.publish(delivery))
            async with aclosing(_subscription(exchange, "ledger")) as subscription:
                assert await _next_positions(subscription) == [1]
            await _turns()
            if not publishing.done():
                # Here nothing is kept: the source still waits, and would publish again after a restart.
                await _cancel(publishing)
                publishing = asyncio.create_task(exchange.publish(delivery))
            for group in SUBSCRIBERS:
                assert [event.position for event in await _receive(exchange, group, 1)] == [1]
            await publishing

        self.run(exchanges, scenario)

    def test_a_source_that_gives_up_can_publish_again(self, exchanges: Any) -> None:
        """Whether it was cancelled before anybody took the delivery or in the middle; what comes later arrives as well."""

        async def scenario(exchange: Exchange) -> None:
            first, second = _deliveries([1, 1])
            async with aclosing(_subscription(exchange, "ledger")) as subscription:
                for taken in (False, True):
                    publishing = asyncio.create_task(exchange.publish(first))
                    await (_next_positions(subscription) if taken else asyncio.sleep(0))
                    await _cancel(publishing)
                async with _publishing(exchange, [first, second], beside="stock") as others:
                    assert set(await _positions_up_to(subscription, 2)) >= {2}
                    await _settle(subscription)
                    assert {*await others(2)} == {1, 2}

        self.run(exchanges, scenario)

    def test_two_processes_may_publish_at_once(self, exchanges: Any) -> None:
        """While a relay is taken over, the one that was only slow is in the middle of the same: neither may hide the other."""

        async def scenario(exchange: Exchange) -> None:
            deliveries = _deliveries([1] * 6)
            async with (
                _publishing(exchange, deliveries[::2]),
                _publishing(exchange, deliveries[1::2], beside="stock") as others,
            ):
                received = await _receive(exchange, "ledger", 6)
                assert sorted(event.position for event in received) == [1, 2, 3, 4, 5, 6]
                assert sorted(await others(6)) == [1, 2, 3, 4, 5, 6]

        self.run(exchanges, scenario)

    def test_a_subscriber_that_stops_waiting_takes_nothing_with_it(self, exchanges: Any) -> None:
        """Cancelled while there was nothing yet, it leaves what comes then to the next one."""

        async def scenario(exchange: Exchange) -> None:
            for _ in range(3):
                waiting = asyncio.create_task(_receive(exchange, "ledger", 1))
                await _turns()
                await _cancel(waiting)
            async with _publishing(exchange, _deliveries([1])):
                for group in SUBSCRIBERS:
                    assert [event.position for event in await _receive(exchange, group, 1)] == [1]

        self.run(exchanges, scenario)

    def test_a_position_moves_where_nothing_is_published(self, exchanges: Any) -> None:
        """Who waits for a receipt of the source learns that it has had everything up to there."""

        async def scenario(exchange: Exchange) -> None:
            subscribing = aclosing(_subscription(exchange, "ledger"))
            async with _publishing(exchange, _deliveries([1, 0, 0]), beside="stock"), subscribing as subscription:
                seen = [delivery async for delivery in _until(subscription, 3)]
            assert [event.position for delivery in seen for event in delivery.events] == [1]
            assert [delivery.position for delivery in seen] == sorted(delivery.position for delivery in seen)

        self.run(exchanges, scenario)

    def test_a_subscriber_that_knows_where_it_is_goes_on_from_there(self, exchanges: Any) -> None:
        """What comes next may repeat what it has had, but leaves nothing out."""

        async def scenario(exchange: Exchange) -> None:
            first, second, third = _deliveries([2, 2, 2])
            subscribing = aclosing(_subscription(exchange, "ledger"))
            async with _publishing(exchange, [first, second], beside="stock"), subscribing as subscription:
                assert await _positions_up_to(subscription, 4) == [1, 2, 3, 4]
                await _settle(subscription)
            subscribing = aclosing(_subscription(exchange, "ledger", after=4))
            async with _publishing(exchange, [third], beside="stock"), subscribing as subscription:
                again = await _positions_up_to(subscription, 6)
            assert again == list(range(again[0], 7))
            assert again[0] <= 5

        self.run(exchanges, scenario)


def _event(position: int, key: str, data: bytes = b"{}", **circumstances: str) -> Published:
    raw = msgspec.Raw(data)
    return Published(f"id-{position}", SOURCE, "Ordered", 2, key, position, 5, raw, **circumstances)


def _deliveries(sizes: Iterable[int]) -> list[Delivery]:
    """Return deliveries of these sizes; one without events takes a position all the same."""
    deliveries: list[Delivery] = []
    after = 0
    for size in sizes:
        events = [_event(after + n, f"order:{n % 3}") for n in range(1, size + 1)]
        deliveries.append(Delivery(SOURCE, events, after + max(size, 1), after))
        after = deliveries[-1].position
    return deliveries


def _delivery(event: Published) -> Delivery:
    return Delivery(SOURCE, [event], event.position)


@asynccontextmanager
async def _publishing(
    exchange: Exchange, deliveries: Sequence[Delivery], beside: str = ""
) -> AsyncIterator[Callable[[int], Awaitable[list[int]]]]:
    """Publish one delivery after the other beside what the block does, and let a group receive them.

    What is given returns the positions of so many events that this group has received.
    """
    received: asyncio.Queue[int] = asyncio.Queue()
    tasks = [asyncio.create_task(_publish(exchange, deliveries))]
    if beside:
        tasks.append(asyncio.create_task(_drain(exchange, beside, received)))

    async def others(count: int) -> list[int]:
        return [await received.get() for _ in range(count)]

    try:
        yield others
    finally:
        for task in tasks:
            await _cancel(task)


async def _publish(exchange: Exchange, deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        await exchange.publish(delivery)


async def _drain(exchange: Exchange, group: str, received: asyncio.Queue[int]) -> None:
    async for delivery in exchange.subscribe(group, SOURCE, 0):
        for event in delivery.events:
            received.put_nowait(event.position)


def _subscription(exchange: Exchange, group: str, after: int = 0) -> Any:
    return exchange.subscribe(group, SOURCE, after)


async def _receive(exchange: Exchange, group: str, count: int, after: int = 0) -> list[Published]:
    """Return so many events, and settle them."""
    received: list[Published] = []
    async with aclosing(_subscription(exchange, group, after)) as subscription:
        while len(received) < count:
            received += (await anext(subscription)).events
        await _settle(subscription)
    return received


async def _settle(subscription: Any) -> None:
    """Ask for the next delivery, which settles the last one, and do not wait for it."""
    asking = asyncio.ensure_future(anext(subscription))
    await _turns()
    await _cancel(asking)


async def _next_positions(subscription: Any) -> list[int]:
    """Return the positions of the next delivery that has events."""
    while True:
        delivery: Delivery = await anext(subscription)
        if delivery.events:
            return [event.position for event in delivery.events]


async def _positions_up_to(subscription: Any, position: int) -> list[int]:
    return [event.position async for delivery in _until(subscription, position) for event in delivery.events]


async def _until(subscription: Any, position: int) -> AsyncGenerator[Delivery, None]:
    while True:
        delivery: Delivery = await anext(subscription)
        yield delivery
        if delivery.position >= position:
            return


async def _turns() -> None:
    """Let the other tasks run until they wait for something."""
    for _ in range(20):
        await asyncio.sleep(0)


async def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _content(event: Published) -> tuple[object, ...]:
    """Return all of an event but the time at which it was recorded, which some exchanges set themselves."""
    return (
        event.id, event.source, event.type, event.version, event.key, event.position, bytes(event.data),
        event.correlation, event.traceparent, event.to, event.actor, event.causation,
    )  # fmt: skip
