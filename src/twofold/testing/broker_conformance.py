"""What a transport over a broker must hold to besides, as tests against a real server. Whoever writes an adapter runs them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol, TypeVar

import msgspec
import pytest

from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.limits import BrokerLimits, Limits
from twofold.messaging import Delivery, Published, Transport
from twofold.service.adapters import open_transport
from twofold.testing.broker_process import deliveries, event_at
from twofold.testing.transport_conformance import SOURCE, TransportConformance

T = TypeVar("T")

GROUP = "ledger"

_PATIENCE_SECONDS = 60.0
_ANSWER_SECONDS = 3.0


class StoredMessage(msgspec.Struct, frozen=True):
    """A message as a broker has it: headers by their names there, and data."""

    headers: Mapping[str, str]
    data: bytes


class BrokerUnderTest(Protocol):
    """A real broker, as the suite uses it beside the adapter. Its methods use the driver by themselves."""

    url: str
    """Leads to places in which nothing has been published."""

    async def put(self, attributes: Mapping[str, str], headers: Mapping[str, str], data: bytes) -> None:
        """Publish where `SOURCE` does, as another program would, with a CloudEvent's attributes and with headers besides."""
        ...

    async def dead_letters(self, group: str) -> Sequence[StoredMessage]:
        """Return what was set aside for a group, oldest first."""
        ...


class BrokerOfOurs(BrokerUnderTest, Protocol):
    """A broker that nobody else uses, which lets in whoever knows a password."""

    wrong_url: str
    """The URL with another password in it."""

    wrong_password: str

    def stop(self) -> None:
        """Stop it as a power cut would."""
        ...

    def start(self) -> None:
        """Start it again with what it has kept, and return when it answers."""
        ...


class BrokerConformance(TransportConformance):
    """Subclass it, and give it a broker::

    class TestMyBroker(BrokerConformance):
        @pytest.fixture
        def broker(self): ...

        @pytest.fixture
        def broker_of_ours(self): ...
    """

    tells_redelivery = True
    """Whether the broker says of a message that it comes again."""

    @pytest.fixture
    def broker(self) -> BrokerUnderTest:
        """Give a broker, with places that nobody has used."""
        raise NotImplementedError("Override the fixture `broker`.")

    @pytest.fixture
    def broker_of_ours(self) -> BrokerOfOurs:
        """Give a broker that the test may stop and start."""
        raise NotImplementedError("Override the fixture `broker_of_ours`.")

    @pytest.fixture
    def exchanges(self, broker: BrokerUnderTest) -> Any:
        """Give transports over the broker to the tests that every transport has to pass."""
        return lambda: _opened(broker.url)

    def over(self, broker: BrokerUnderTest, scenario: Callable[[Transport], Awaitable[T]]) -> T:
        """Run a scenario over a broker; what never comes is not waited for forever."""

        async def whole() -> T:
            async with _opened(broker.url) as transport, asyncio.timeout(_PATIENCE_SECONDS):
                return await scenario(transport)

        return asyncio.run(whole())

    def test_what_is_no_event_is_kept_as_it_came_and_the_rest_goes_on(self, broker: Any) -> None:
        """Byte for byte, with all of its headers, and why it was set aside. It does not come again."""
        data = b"\xff\x00\xfe{not JSON"

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 2)
            await broker.put({"id": "x-1", "type": "Odd"}, {"colour": "blue"}, data)
            await _publish(transport, 2, 4)
            assert await _received(transport, 4) == [1, 2, 3, 4]
            await _publish(transport, 4, 5)
            assert await _received(transport, 5, after=4) == [5]
            (kept,) = await broker.dead_letters(GROUP)
            assert kept.data == data
            assert kept.headers.items() >= {"colour": "blue", "twofold-source": SOURCE}.items()
            assert "JSON" in kept.headers["twofold-reason"]

        self.over(broker, scenario)

    def test_what_does_not_say_what_it_is_is_kept_too(self, broker: Any) -> None:
        """A message without any attribute, of a program that knows nothing of events."""

        async def scenario(transport: Transport) -> None:
            await broker.put({}, {"colour": "blue"}, b'{"n":1}')
            await _publish(transport, 0, 1)
            assert await _received(transport, 1) == [1]
            (kept,) = await broker.dead_letters(GROUP)
            assert (kept.data, kept.headers["colour"]) == (b'{"n":1}', "blue")
            assert "'id'" in kept.headers["twofold-reason"]

        self.over(broker, scenario)

    def test_a_message_of_somebody_who_keeps_no_log_is_handed_on(self, broker: Any) -> None:
        """An id and a type are enough; it has no position, and what has one is in order around it."""

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 1)
            await broker.put({"id": "f-1", "type": "Heard"}, {}, b'{"n": 1}')
            await _publish(transport, 1, 2)
            events = await _events(transport, lambda found: len(found) >= 3)
            assert [each.position for each in events if each.position] == [1, 2]
            (foreign,) = [each for each in events if not each.position]
            assert (foreign.id, foreign.type, foreign.source, bytes(foreign.data)) == (
                "f-1",
                "Heard",
                SOURCE,
                b'{"n": 1}',
            )

        self.over(broker, scenario)

    def test_order_holds_however_often_a_subscriber_fails(self, broker: Any) -> None:
        """Each one records what it is given and ends before it has settled that; the next one knows how far it was."""

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 700, 50)
            seen: list[int] = []
            while not seen or seen[-1] < 700:
                async with aclosing(_subscription(transport, seen[-1] if seen else 0)) as subscription:
                    seen += [each.position for each in (await _next(subscription)).events]
            assert seen == [*range(1, 701)]

        self.over(broker, scenario)

    def test_what_comes_again_is_counted(self, broker: Any) -> None:
        """So an operator sees that a subscriber fails again and again."""

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 3)
            for _ in range(2):
                async with aclosing(_subscription(transport)) as subscription:
                    delivery = await _next(subscription)
            assert bool(delivery.redelivered) is self.tells_redelivery

        self.over(broker, scenario)

    def test_what_a_killed_subscriber_had_in_hand_comes_again(self, broker: Any) -> None:
        """It was killed between receiving and settling, so nothing is settled."""

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 20)
            async with _process(broker.url, "receive", GROUP) as process:
                assert (await _line(process)).split()[0] == "1"
                await _kill(process)
            assert await _received(transport, 20) == [*range(1, 21)]

        self.over(broker, scenario)

    def test_a_killed_publisher_loses_nothing_and_repeats_nothing(self, broker: Any) -> None:
        """It is killed while it publishes, and begins again from what it knows to be confirmed, in other portions."""

        async def scenario(transport: Transport) -> None:
            async with _process(broker.url, "publish", "0", "10000", "10") as process:
                confirmed = [int(await _line(process)) for _ in range(5)][-1]
                await _kill(process)
            await _publish(transport, confirmed - 20, confirmed + 500, 77)
            received = await _received(transport, confirmed + 500)
            assert received == [*range(1, received[-1] + 1)]

        self.over(broker, scenario)

    def test_one_subscriber_takes_over_from_another_in_the_middle(self, broker: Any) -> None:
        """The one before still has a delivery in its hands, and settles it late: nothing is left out or out of order."""

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 30)
            async with aclosing(_subscription(transport)) as first:
                had = [each.position for each in (await _next(first)).events]
                second = asyncio.create_task(_received(transport, 60, after=had[-1]))
                await _publish(transport, 30, 60)
                late = asyncio.create_task(anext(first))
                await asyncio.wait([late], timeout=1)
                late.cancel()
                await asyncio.wait([late])
            assert had + await second == [*range(1, 61)]

        self.over(broker, scenario)

    def test_a_broker_that_is_away_is_told_and_used_again(self, broker_of_ours: Any) -> None:
        """In bounded time and with the URL; when it is back, what was published before and after is there."""
        broker = broker_of_ours

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 5)
            await asyncio.to_thread(broker.stop)
            with pytest.raises(LogUnavailable) as raised:
                await _publish(transport, 5, 10)
            assert broker.url.partition("?")[0].rpartition("@")[2] in str(raised.value)
            with pytest.raises(LogUnavailable):
                await _received(transport, 10)
            await asyncio.to_thread(broker.start)
            await _until_available(lambda: _publish(transport, 5, 10))
            assert await _until_available(lambda: _received(transport, 10)) == [*range(1, 11)]

        self.over(broker, scenario)

    def test_a_subscriber_learns_that_the_broker_has_gone(self, broker_of_ours: Any) -> None:
        """It does not wait for a broker that is not there as for one that has nothing to say."""
        broker = broker_of_ours

        async def scenario(transport: Transport) -> None:
            await _publish(transport, 0, 5)
            async with aclosing(_subscription(transport)) as subscription:
                assert (await _next(subscription)).events[0].position == 1
                await asyncio.to_thread(broker.stop)
                with pytest.raises(LogUnavailable):
                    while True:
                        await anext(subscription)
            await asyncio.to_thread(broker.start)
            await _until_available(lambda: _publish(transport, 5, 10))
            assert (await _until_available(lambda: _received(transport, 10)))[-1] == 10

        self.over(broker, scenario)

    def test_a_wrong_password_is_told_and_not_shown(self, broker_of_ours: Any) -> None:
        """Whoever operates it reads which broker does not let us in, as soon as something is to be published or heard."""

        async def scenario() -> None:
            async with _opened(broker_of_ours.wrong_url) as transport, asyncio.timeout(_PATIENCE_SECONDS):
                for attempt in (_publish(transport, 0, 1), _received(transport, 1)):
                    with pytest.raises(LogUnavailable, match="password") as raised:
                        await attempt
                    assert broker_of_ours.wrong_password not in str(raised.value)

        asyncio.run(scenario())


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Transport]:
    limits = Limits(broker=BrokerLimits(answer_seconds=_ANSWER_SECONDS))
    transport = open_transport(url, SystemClock(), limits, [SOURCE])
    try:
        yield transport
    finally:
        await transport.close()


async def _publish(transport: Transport, after: int, count: int, size: int = 100) -> None:
    for delivery in deliveries(after, count, size):
        await transport.publish(delivery)


def _subscription(transport: Transport, after: int = 0) -> AsyncGenerator[Delivery, None]:
    return transport.subscribe(GROUP, SOURCE, after)


async def _next(subscription: AsyncGenerator[Delivery, None]) -> Delivery:
    """Return the next delivery that has events."""
    while not (delivery := await anext(subscription)).events:
        pass
    return delivery


async def _events(
    transport: Transport, is_enough: Callable[[list[Published]], bool], after: int = 0
) -> list[Published]:
    """Return events until they are enough, and settle them."""
    found: list[Published] = []
    async with aclosing(_subscription(transport, after)) as subscription:
        while not is_enough(found):
            found += (await _next(subscription)).events
        settling = asyncio.ensure_future(anext(subscription))
        await asyncio.wait([settling], timeout=0.5)
        settling.cancel()
        await asyncio.wait([settling])
    assert all(_same(event) for event in found)
    return found


def _same(event: Published) -> bool:
    """Say whether an event of a log is what was published at its position."""
    return not event.position or event == event_at(event.position)


async def _received(transport: Transport, count: int, after: int = 0) -> list[int]:
    """Return the positions of all events up to one, and settle them."""
    events = await _events(transport, lambda found: bool(found) and found[-1].position >= count, after)
    return [event.position for event in events]


@asynccontextmanager
async def _process(url: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "twofold.testing.broker_process", url, *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            await _kill(process)


async def _line(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        raise AssertionError("it was started with a pipe")
    return (await process.stdout.readline()).decode()


async def _kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


async def _until_available(attempt: Callable[[], Awaitable[T]]) -> T:
    """Do something again and again until the broker lets it be done, as followers do."""
    while True:
        try:
            return await attempt()
        except LogUnavailable:
            await asyncio.sleep(0.1)
