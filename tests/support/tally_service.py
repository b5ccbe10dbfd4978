"""A service that counts, with a question of each kind: by key, by condition, over two views, by text, and one that fails."""

from collections.abc import Iterator
from typing import Annotated, Self

from sqlalchemy import select, text

from twofold import Aggregate, Command, Event, Query, Service, Tag, View, Views, answer, decide, evolve, replace

CounterId = Annotated[str, Tag("counter")]

UNLUCKY = 13


class Add(Command):
    counter: CounterId = "a"
    amount: int = 1
    note: str = ""


class Added(Event):
    counter: CounterId
    amount: int
    note: str


class Counter(Aggregate, key=CounterId):
    times: int = 0

    @decide
    def add(self, command: Add) -> Iterator[Added]:
        yield Added(counter=command.counter, amount=command.amount, note=command.note)

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, times=self.times + 1)


class Total(View, key=CounterId):
    total: int = 0
    note: str = ""

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, total=self.total + event.amount, note=event.note)


class Largest(View, key=CounterId):
    amount: int = 0

    @evolve
    def added(self, event: Added) -> Self:
        return replace(self, amount=max(self.amount, event.amount))


class TotalOf(Query[int]):
    counter: str = "a"


class RowOf(Query[Total | None]):
    counter: str = "a"


class Totals(Query[list[Total]]):
    at_least: int = 0


class Share(Query[tuple[int, int]]):
    """The largest amount, and the total that it is a part of."""

    counter: str = "a"


class Sum(Query[int]):
    """Asked in a way that does not say which tables are read."""


class Lucky(Query[int]):
    """Cannot be answered while the total is unlucky."""


class Greeting(Query[str]):
    """EncodedAnswer without reading anything."""


async def total(views: Views, counter: str) -> int:
    row = await views.get(Total, counter)
    return 0 if row is None else row.total


@answer
async def total_of(query: TotalOf, views: Views) -> int:
    return await total(views, query.counter)


@answer
async def row_of(query: RowOf, views: Views) -> Total | None:
    return await views.get(Total, query.counter)


@answer
async def totals(query: Totals, views: Views) -> list[Total]:
    return (await views.find(Total, Total.c.total >= query.at_least)).rows


@answer
async def share(query: Share, views: Views) -> tuple[int, int]:
    largest = await views.get(Largest, query.counter)
    return (0 if largest is None else largest.amount), await total(views, query.counter)


@answer
async def summed(query: Sum, views: Views) -> int:
    rows = await views.select(select(text("coalesce(sum(total), 0)")).select_from(Total.c.total.table))
    return int(rows[0][0])


@answer
async def lucky(query: Lucky, views: Views) -> int:
    found = await total(views, "a")
    if found == UNLUCKY:
        raise ZeroDivisionError("the secret of the trace")
    return found


@answer
async def greeting(query: Greeting, views: Views) -> str:
    return "hello"


tally = Service(
    "tally",
    aggregates=[Counter],
    views=[Total, Largest],
    queries=[total_of, row_of, totals, share, summed, lucky, greeting],
)
