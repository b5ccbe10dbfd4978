"""A service that hears of prices from a program that knows nothing of Twofold, and tells it which labels to print.

Run it with ``TWOFOLD_TRANSPORT=kafka://127.0.0.1:9092 twofold run examples.brokers.labels:labels``, and beside it
``python -m examples.brokers.plain_kafka 127.0.0.1:9092``.
"""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Query, Service, Tag, View, Views, answer, decide, evolve, replace

ItemId = Annotated[str, Tag("item")]


class Priced(Event, source="prices"):
    """An item has a price, as the program `prices` says."""

    item: ItemId
    cents: int


class Print(Command):
    item: ItemId
    text: str


class LabelWanted(Event):
    item: ItemId
    text: str


class Label(Aggregate, key=ItemId):
    @decide
    def print(self, command: Print) -> Iterator[LabelWanted]:
        yield LabelWanted(item=command.item, text=command.text)

    @evolve
    def wanted(self, event: LabelWanted) -> Self:
        return self


class Price(View, key=ItemId):
    cents: int = 0

    @evolve
    def priced(self, event: Priced) -> Self:
        return replace(self, cents=event.cents)


class PriceOf(Query[Price | None]):
    item: str


@answer
async def price_of(query: PriceOf, views: Views) -> Price | None:
    return await views.get(Price, query.item)


labels = Service(
    "labels", aggregates=[Label], views=[Price], queries=[price_of], publishes=[LabelWanted], subscribes=[Priced]
)
