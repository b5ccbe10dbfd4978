"""What one service tells another: recorded once, in order, through crashes and repetitions."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Self

import pytest

from twofold import (
    Aggregate,
    Command,
    Event,
    Query,
    Receipt,
    Service,
    System,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    replace,
)
from twofold.adapters.memory import MemoryTransport
from twofold.errors import DeclarationError, FutureReceipt, InvalidReceipt, ReceiptTimeout
from twofold.log import NewEvent
from twofold.messaging import Delivery
from twofold.service import Settings, start

OrderId = Annotated[str, Tag("order")]
CustomerId = Annotated[str, Tag("customer")]


class Place(Command):
    order: OrderId
    customer: CustomerId
    total: int


class Keep(Command):
    order: OrderId


class Placed(Event):
    order: OrderId
    customer: CustomerId
    total: int


class Kept(Event):
    order: OrderId


class Order(Aggregate, key=OrderId):
    placed: bool = False

    @decide
    def place(self, command: Place) -> Iterator[Placed]:
        if not self.placed:
            yield Placed(order=command.order, customer=command.customer, total=command.total)

    @decide
    def keep(self, command: Keep) -> Iterator[Kept]:
        yield Kept(order=command.order)

    @evolve
    def was_placed(self, event: Placed) -> Self:
        return replace(self, placed=True)

    @evolve
    def was_kept(self, event: Kept) -> Self:
        return self


class OrderPlaced(Event, name="Placed", source="shop"):
    customer: CustomerId
    total: int


class Bonus(View, key=CustomerId):
    orders: int = 0
    points: int = 0

    @evolve
    def earned(self, event: OrderPlaced) -> Self:
        return replace(self, orders=self.orders + 1, points=self.points + event.total)


class BonusOf(Query[Bonus | None]):
    customer: str


@answer
async def bonus_of(query: BonusOf, views: Views) -> Bonus | None:
    return await views.get(Bonus, query.customer)


shop = Service("shop", aggregates=[Order], publishes=[Placed])
club = Service("club", views=[Bonus], queries=[bonus_of], subscribes=[OrderPlaced])


def files(folder: Path, name: str) -> Settings:
    return Settings(log=f"sqlite:///{folder}/{name}.db", views=f"sqlite:///{folder}/{name}-views.db")


def both(folder: Path) -> dict[str, Settings]:
    return {name: files(folder, name) for name in ("shop", "club")}


@pytest.mark.parametrize("services", [(shop, club), (club, shop)], ids=["shop first", "club first"])
def test_what_is_published_is_heard_and_receipts_travel(tmp_path: Path, services: tuple[Service, Service]) -> None:
    """In whatever order services start; a receipt of one is good for a question to the other."""

    async def scenario() -> None:
        async with System(*services).run(both(tmp_path)) as running:
            for n in range(50):
                receipt = await running["shop"].send(Place(order=f"o{n}", customer="ann", total=n))
                bonus = await running["club"].ask(BonusOf(customer="ann"), after=receipt)
                assert bonus == Bonus(key="ann", orders=n + 1, points=sum(range(n + 1)))
            unheard = await running["shop"].send(Keep(order="o1"))
            assert await running["club"].ask(BonusOf(customer="ann"), after=unheard) is not None
            heard = await running["club"].log.read()
            assert {(e.type, e.metadata.source) for e in heard} == {("shop.Placed", "shop")}
            assert [e.metadata.source_position for e in heard] == list(range(1, 51))

    asyncio.run(scenario())


class Twice(MemoryTransport):
    """Delivers everything twice, the second time after a part of the first."""

    def subscribe(self, group: str, source: str, after: int) -> AsyncIterator[Delivery]:
        return self._doubled(super().subscribe(group, source, after))

    async def _doubled(self, deliveries: AsyncIterator[Delivery]) -> AsyncIterator[Delivery]:
        async for delivery in deliveries:
            yield Delivery(delivery.source, delivery.events[: len(delivery.events) // 2], 0)
            yield delivery
            yield delivery


def test_what_is_delivered_twice_counts_once(tmp_path: Path) -> None:
    """A repetition is recognised by its id, in the transaction in which it would have been recorded."""

    async def scenario() -> None:
        transport = Twice([("club", "shop")])
        async with (
            start(club.declaration, files(tmp_path, "club"), transport=transport) as hearing,
            start(shop.declaration, files(tmp_path, "shop"), transport=transport) as telling,
        ):
            receipts = await asyncio.gather(
                *[telling.send(Place(order=f"o{n}", customer=f"c{n % 5}", total=1)) for n in range(100)]
            )
            last = max(receipts, key=lambda each: each.position)
            for n in range(5):
                bonus = await hearing.ask(BonusOf(customer=f"c{n}"), after=last)
                assert bonus == Bonus(key=f"c{n}", orders=20, points=20)
            assert await hearing.log.head() == 100

    asyncio.run(scenario())


def test_what_was_not_settled_is_delivered_to_the_next_process(tmp_path: Path) -> None:
    """Each side may end at any time: the relay begins again where it was, and the inbox knows what it has."""

    async def scenario() -> None:
        placed = 0
        last = Receipt("shop", 0)
        for _ in range(5):
            async with System(shop, club).run(both(tmp_path)) as running:
                for _ in range(20):
                    last = await running["shop"].send(Place(order=f"o{placed}", customer="ann", total=1))
                    placed += 1
        async with System(shop, club).run(both(tmp_path)) as running:
            bonus = await running["club"].ask(BonusOf(customer="ann"), after=last)
            assert bonus == Bonus(key="ann", orders=placed, points=placed)

    asyncio.run(scenario())


def test_order_holds_from_one_log_to_the_other(tmp_path: Path) -> None:
    """What happened first at the source is recorded first by whoever hears of it."""

    async def scenario() -> None:
        async with System(shop, club).run(both(tmp_path)) as running:
            receipts = await asyncio.gather(
                *[running["shop"].send(Place(order=f"o{n}", customer=f"c{n % 3}", total=n)) for n in range(200)]
            )
            last = max(receipts, key=lambda each: each.position)
            await running["club"].ask(BonusOf(customer="c0"), after=last)
            heard = await running["club"].log.read()
            assert [e.metadata.source_position for e in heard] == list(range(1, 201))

    asyncio.run(scenario())


def test_an_event_that_does_not_fit_is_recorded_as_it_came_and_parked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is loud, it blocks nobody, and nothing of it is lost."""

    async def scenario() -> None:
        async with System(shop, club).run(both(tmp_path)) as running:
            odd = NewEvent("odd", "Placed", 1, ("order:o1",), b'{"order":"o1","customer":"ann","total":"many"}')
            await running["shop"].log.append([odd])
            last = await running["shop"].send(Place(order="o2", customer="bob", total=1))
            assert await running["club"].ask(BonusOf(customer="bob"), after=last) == Bonus(
                key="bob", orders=1, points=1
            )
            first = (await running["club"].log.read())[0]
            assert (first.type, first.data, first.tags) == ("shop.Placed", odd.data, ())
            assert [each.lane for each in await running["club"].views.parked()] == [""]
            assert "does not fit" in caplog.text

    asyncio.run(scenario())


def test_a_question_always_sees_what_was_commanded(tmp_path: Path) -> None:
    """A thousand times in a row: the receipt is waited for, however short that is."""

    async def scenario() -> None:
        async with System(shop, club).run(both(tmp_path)) as running:
            for n in range(1, 1001):
                receipt = await running["shop"].send(Place(order=f"o{n}", customer="ann", total=1))
                if n % 10 == 0:
                    bonus = await running["club"].ask(BonusOf(customer="ann"), after=receipt)
                    assert bonus is not None
                    assert bonus.orders == n

    asyncio.run(scenario())


def test_receipts_that_cannot_be_waited_for_are_errors_that_say_why(tmp_path: Path) -> None:
    """From another log, of a service that is not heard, or beyond what the follower will reach in time."""

    async def scenario() -> None:
        async with start(club.declaration, files(tmp_path, "club")) as running:
            with pytest.raises(FutureReceipt, match=r"club@5 is beyond the log of club, which ends at 0"):
                await running.ask(BonusOf(customer="ann"), after=Receipt("club", 5))
            with pytest.raises(InvalidReceipt, match="hears nothing from it"):
                await running.ask(BonusOf(customer="ann"), after=Receipt("bakery", 5))
            with pytest.raises(ReceiptTimeout, match=r"inbox:shop is at position 0 and not yet at 5"):
                await running.ask(BonusOf(customer="ann"), after=Receipt("shop", 5), timeout_seconds=0.05)

    asyncio.run(scenario())


def test_subscribing_to_what_nobody_publishes_is_found_when_the_system_is_declared() -> None:
    """A wrong name would otherwise be silence, for ever."""

    class Misspelt(Event, name="Plaiced", source="shop"):
        customer: CustomerId

    class Never(View, key=CustomerId):
        @evolve
        def heard(self, event: Misspelt) -> Self:
            return self

    with pytest.raises(DeclarationError, match=r"shop does not publish Plaiced"):
        System(shop, Service("deaf", views=[Never], subscribes=[Misspelt]))
