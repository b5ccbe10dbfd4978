"""What travels between services, when it is read by others' types, told twice, cut off or joined late."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self

import msgspec
import pytest

from tests.support.push_transport import PushingTransport
from tests.support.waiting import until
from twofold import Command, Event, Query, Service, System, Tag, View, Views, answer, decide, evolve, replace
from twofold.errors import LogUnavailable
from twofold.followers import checkpoints
from twofold.messages import Metadata
from twofold.messaging import Delivery
from twofold.service import Running
from twofold.testing import running, running_system

OrderId = Annotated[str, Tag("order")]
CustomerId = Annotated[str, Tag("customer")]


class Line(msgspec.Struct, frozen=True):
    sku: str
    units: int
    colour: str = "white"


class Place(Command):
    order: OrderId
    customer: CustomerId
    number: int = 0


class Placed(Event, version=3):
    order: OrderId
    customer: CustomerId
    number: int
    lines: tuple[Line, ...] = (Line("lamp", 2),)
    remark: str = "with care"


class Noted(Event):
    order: OrderId


@decide
def place(command: Place) -> Iterator[Placed | Noted]:
    yield Noted(order=command.order)
    yield Placed(order=command.order, customer=command.customer, number=command.number)


class OrderedLine(msgspec.Struct, frozen=True):
    units: int


class Ordered(Event, name="Placed", source="sales"):
    """What another service needs of it: fewer fields, of lines too, in a type of its own."""

    customer: CustomerId
    number: int
    lines: tuple[OrderedLine, ...]


class Orders(View, key=CustomerId):
    numbers: tuple[int, ...] = ()
    units: int = 0

    @evolve
    def ordered(self, event: Ordered) -> Self:
        units = sum(line.units for line in event.lines)
        return replace(self, numbers=(*self.numbers, event.number), units=self.units + units)


class OrdersOf(Query[Orders | None]):
    customer: str


@answer
async def orders_of(query: OrdersOf, views: Views) -> Orders | None:
    return await views.get(Orders, query.customer)


sales = Service("sales", decisions=[place], publishes=[Placed])
books = Service("books", views=[Orders], queries=[orders_of], subscribes=[Ordered])
diary = Service("diary", views=[Orders], queries=[orders_of], subscribes=[Ordered])


def test_a_subscriber_reads_what_it_needs_and_records_all(tmp_path: Path) -> None:
    """Fields that its type does not have are passed on untouched, and a newer version is read by the same rule."""

    async def scenario() -> None:
        async with running_system(System(sales, books), tmp_path) as services:
            receipt = await services["sales"].send(Place(order="o1", customer="ann", number=7))
            found = await services["books"].ask(OrdersOf(customer="ann"), after=receipt)
            assert found == Orders(key="ann", numbers=(7,), units=2)
            (recorded,) = await services["books"].log.read()
            (original,) = [event for event in await services["sales"].log.read() if event.type == "Placed"]
            assert (recorded.type, recorded.version, recorded.data) == ("sales.Placed", 3, original.data)
            assert recorded.tags == ("customer:ann",)

    asyncio.run(scenario())


def test_a_story_that_goes_through_services_has_one_correlation(tmp_path: Path) -> None:
    """And each part of it names the one before, in whatever service that was."""

    async def scenario() -> None:
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        request = Metadata(correlation="request-1", actor="ann", traceparent=trace)
        async with running_system(System(sales, books), tmp_path) as services:
            receipt = await services["sales"].send(Place(order="o1", customer="ann"), metadata=request)
            await services["books"].ask(OrdersOf(customer="ann"), after=receipt)
            original = (await services["sales"].log.read())[-1]
            (recorded,) = await services["books"].log.read()
            assert recorded.metadata == Metadata(
                correlation="request-1",
                causation=original.id,
                traceparent=trace,
                source="sales",
                source_id=original.id,
                source_position=original.position,
            )

    asyncio.run(scenario())


class Unreliable(PushingTransport):
    """Delivers twice, publishes and then says that it failed, fails before it publishes: by the dice."""

    def __init__(self, subscriptions: Any, dice: Random) -> None:
        super().__init__(subscriptions)
        self._dice = dice
        self.mishaps = 0

    def _mishap(self) -> bool:
        happens = self._dice.random() < 0.3
        self.mishaps += happens
        return happens

    async def publish(self, delivery: Delivery) -> None:
        if self._mishap():
            raise LogUnavailable("The broker is away.")
        await super().publish(delivery)
        if self._mishap():
            raise LogUnavailable("The broker's answer was lost.")

    def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        return self._repeating(super().subscribe(group, source, after))

    async def _repeating(self, deliveries: AsyncGenerator[Delivery, None]) -> AsyncGenerator[Delivery, None]:
        async for delivery in deliveries:
            if self._mishap():
                some = delivery.events[: self._dice.randrange(len(delivery.events) + 1)]
                yield Delivery(delivery.source, some, some[-1].position if some else 0)
            yield delivery
            if self._mishap():
                yield delivery


@asynccontextmanager
async def connected(folder: Path, transport: PushingTransport) -> AsyncIterator[tuple[Running, Running]]:
    async with (
        running(books, folder, transport=transport) as hearing,
        running(sales, folder, transport=transport) as telling,
    ):
        yield telling, hearing


@pytest.mark.parametrize("seed", range(3))
def test_everything_is_recorded_once_and_in_order_whatever_the_transport_does(tmp_path: Path, seed: int) -> None:
    """Repeated, cut off, said to have failed, and with both services started anew three times in the middle."""

    async def scenario() -> None:
        sent = 0
        for round_ in range(4):
            transport = Unreliable([("books", "sales")], Random(10 * seed + round_))
            async with connected(tmp_path, transport) as (telling, hearing):
                for _ in range(15):
                    sent += 1
                    receipt = await telling.send(Place(order=f"o{sent}", customer=f"c{sent % 3}", number=sent))
                if round_ == 3:
                    for customer in range(3):
                        asked = OrdersOf(customer=f"c{customer}")
                        orders = await hearing.ask(asked, after=receipt, timeout_seconds=60)
                        assert orders is not None
                        assert orders.numbers == tuple(n for n in range(1, sent + 1) if n % 3 == customer)
                    recorded = await hearing.log.read()
                    # Each order is two events at its source, of which the second is published.
                    assert [event.metadata.source_position for event in recorded] == list(range(2, 2 * sent + 1, 2))
                    assert transport.mishaps

    asyncio.run(scenario())


class Forgetful(PushingTransport):
    """Delivers each delivery once more, and then one from before it."""

    def __init__(self, subscriptions: Any) -> None:
        super().__init__(subscriptions)
        self.repeated = 0

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        async for delivery in super().subscribe(group, source, after):
            yield delivery
            yield Delivery(delivery.source, delivery.events, delivery.position)
            yield Delivery(delivery.source, [], 0)
            self.repeated += 1


def test_what_comes_again_takes_no_place_back(tmp_path: Path) -> None:
    """Whoever waits for a receipt is not told that it has not been heard of, when it has."""

    async def scenario() -> None:
        transport = Forgetful([("books", "sales")])
        async with connected(tmp_path, transport) as (telling, hearing):
            await telling.send(Place(order="o1", customer="ann", number=1))
            await until(lambda: repeated(transport))
            assert await checkpoints.position(hearing.views, "inbox:sales") == 2
            assert await hearing.log.head() == 1

    asyncio.run(scenario())


async def repeated(transport: Forgetful) -> bool:
    return transport.repeated > 0


def lose(database: Path) -> None:
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()


def test_a_service_that_joins_later_hears_everything_from_the_beginning(tmp_path: Path) -> None:
    """A system grows: what was published before the new one was there is in its source's log."""

    async def scenario() -> None:
        async with running_system(System(sales), tmp_path) as services:
            await services["sales"].send(Place(order="o1", customer="ann", number=1))
        async with running_system(System(sales, books), tmp_path) as services:
            receipt = await services["sales"].send(Place(order="o2", customer="ann", number=2))
            first = await services["books"].ask(OrdersOf(customer="ann"), after=receipt)
            assert first is not None
            assert first.numbers == (1, 2)
        async with running_system(System(diary, books, sales), tmp_path) as services:
            receipt = await services["sales"].send(Place(order="o3", customer="ann", number=3))
            for name in ("books", "diary"):
                orders = await services[name].ask(OrdersOf(customer="ann"), after=receipt)
                assert orders is not None
                assert orders.numbers == (1, 2, 3)
            assert await services["books"].log.head() == 3

    asyncio.run(scenario())


def test_a_relay_whose_place_was_lost_tells_everything_again(tmp_path: Path) -> None:
    """Without its views' database a service that pushes does so from the beginning, and nobody counts anything twice."""

    async def scenario() -> None:
        for number, lost in ((1, False), (2, True)):
            if lost:
                lose(tmp_path / "sales-views.db")
            async with connected(tmp_path, PushingTransport([("books", "sales")])) as (telling, hearing):
                receipt = await telling.send(Place(order=f"o{number}", customer="ann", number=number))
                orders = await hearing.ask(OrdersOf(customer="ann"), after=receipt)
        assert orders == Orders(key="ann", numbers=(1, 2), units=4)
        async with running(books, tmp_path) as hearing:
            assert await hearing.log.head() == 2

    asyncio.run(scenario())


def test_a_subscriber_whose_place_was_lost_hears_everything_again(tmp_path: Path) -> None:
    """Its log still knows what it has recorded, and its views are filled from there."""

    async def scenario() -> None:
        async with running_system(System(sales, books), tmp_path) as services:
            receipt = await services["sales"].send(Place(order="o1", customer="ann", number=1))
            await services["books"].ask(OrdersOf(customer="ann"), after=receipt)
        lose(tmp_path / "books-views.db")
        async with running_system(System(sales, books), tmp_path) as services:
            orders = await services["books"].ask(OrdersOf(customer="ann"), after=receipt)
            assert orders == Orders(key="ann", numbers=(1,), units=2)
            assert await services["books"].log.head() == 1

    asyncio.run(scenario())
