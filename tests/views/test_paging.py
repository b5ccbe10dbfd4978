"""Pages: every row once, in order, whatever is equal, missing, or changed in between."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from operator import eq, gt, lt, ne
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import exists, func, select

from tests.support.claims import claimed
from twofold import Index, Tag, View, Views, replace
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import DeclarationError, InvalidMessage
from twofold.followers import Checkpoint
from twofold.messages import encode
from twofold.queries import Freshness
from twofold.queries.versions import AS_DECLARED
from twofold.views import TableChange, layout, schema
from twofold.views.bounds import Packer

MORNING = datetime(2026, 1, 1, 8, tzinfo=UTC)


class Size(Enum):
    SMALL = "small"
    TALL = "tall"


class Item(View, key=Annotated[str, Tag("item")]):
    rank: Annotated[int, Index] = 0
    weight: float = 0.0
    place: Annotated[int | None, Index] = None
    at: datetime = MORNING
    size: Size = Size.SMALL
    sold: bool = False
    price: Decimal = Decimal(0)


class Other(View, key=Annotated[int, Tag("other")]):
    rank: int = 0


@asynccontextmanager
async def stored(*rows: View, versions: Any = None) -> AsyncIterator[Views]:
    store = SqliteViews(":memory:", SystemClock())
    await store.open()
    try:
        for view in (Item, Other):
            await schema.create(store, layout(view))
        await write(store, *rows)
        yield Views(store, versions)
    finally:
        await store.close()


class NamedTables:
    """Versions of views that are all whole, and what was to be read of them."""

    def __init__(self) -> None:
        self.named: list[str] = []

    def has(self, table: str) -> bool:
        return True

    def read(self, tables: Sequence[str], freshness: Freshness) -> AbstractAsyncContextManager[Mapping[str, str]]:
        self.named.extend(tables)
        return AS_DECLARED


async def write(store: Any, *rows: View) -> None:
    claim = await claimed(store, "test", "test", 0)
    changes = [TableChange(layout(type(row)), [Packer(layout(type(row))).row(row)], []) for row in rows]
    await store.commit(Checkpoint(claim, 1), changes)


async def pages(views: Views, view: Any, limit: int, **how: Any) -> list[list[Any]]:
    """Return all pages."""
    found = [await views.find(view, limit=limit, **how)]
    while found[-1].next:
        found.append(await views.find(view, limit=limit, after=found[-1].next, **how))
    return [page.rows for page in found]


rows_of_items = st.lists(
    st.builds(
        Item,
        key=st.text(max_size=3).filter(lambda text: text.isprintable()),
        rank=st.sampled_from([-(2**63), -1, 0, 7, 2**63 - 1]),
        weight=st.sampled_from([-1.5, 0.0, 0.1, 1e300]),
        place=st.sampled_from([None, 0, 1, 2]),
        at=st.sampled_from([MORNING + timedelta(microseconds=n) for n in (0, 1, 500_000, 1_000_000)]),
        size=st.sampled_from(Size),
        sold=st.booleans(),
    ),
    unique_by=lambda row: row.key,
    max_size=12,
)


def ordering(name: str) -> Any:
    def of(row: Item) -> Any:
        value = getattr(row, name)
        if isinstance(value, Size):
            value = value.value
        return (value is not None, value if value is not None else 0)

    return of


@given(
    rows_of_items,
    st.sampled_from(["rank", "weight", "place", "at", "size", "sold", "key"]),
    st.booleans(),
    st.integers(1, 5),
)
def test_pages_give_every_row_once_in_order(rows: list[Item], name: str, descending: bool, limit: int) -> None:
    """By any column, upwards and downwards, with ties decided by the key, and rows without a value before all others."""
    expected = sorted(rows, key=lambda row: row.key.encode())
    expected.sort(key=ordering(name), reverse=descending)

    async def scenario() -> None:
        async with stored(*rows) as views:
            column = Item.c[name]
            found = await pages(views, Item, limit, order_by=column.desc() if descending else column)
            assert [row for page in found for row in page] == expected
            assert all(len(page) == limit for page in found[:-1])

    if name == "key" and descending:
        expected = sorted(rows, key=lambda row: row.key.encode(), reverse=True)
    asyncio.run(scenario())


def test_rows_that_come_and_go_do_not_shift_the_pages() -> None:
    """The next page begins after the last row that was seen, even if that one is gone."""

    async def scenario() -> None:
        items = [Item(key=f"i{n}", rank=n) for n in range(10)]
        async with stored(*items) as views:
            first = await views.find(Item, order_by=Item.c.rank, limit=4)
            await write(views._store, Item(key="early", rank=-1), replace(items[3], rank=99))
            second = await views.find(Item, order_by=Item.c.rank, limit=4, after=first.next)
            assert [row.key for row in second] == ["i4", "i5", "i6", "i7"]
            assert len(second) == 4

    asyncio.run(scenario())


def test_conditions_and_order_go_together() -> None:
    """Pages of what a condition selects."""

    async def scenario() -> None:
        items = [Item(key=f"i{n}", rank=n % 3, sold=n % 2 == 0) for n in range(10)]
        async with stored(*items) as views:
            found = await views.find(Item, Item.c.sold, Item.c.rank > 0, order_by=Item.c.rank.desc(), limit=2)
            assert [row.key for row in found] == ["i2", "i8"]
            more = await views.find(
                Item, Item.c.sold, Item.c.rank > 0, order_by=Item.c.rank.desc(), limit=2, after=found.next
            )
            assert ([row.key for row in more], more.next) == (["i4"], "")

    asyncio.run(scenario())


def hexed(*values: object) -> str:
    return encode(list(values)).hex()


@pytest.mark.parametrize(
    ("order_by", "after"),
    [
        (None, "x"),
        (None, "ff"),
        (None, "Ärger"),
        (None, hexed("a")),
        (None, hexed(7, None)),
        (None, hexed(None, None)),
        (None, hexed("a", 5)),
        (Item.c.rank, hexed("a", None)),
        (Item.c.rank, hexed("a", "five")),
        (Item.c.rank, hexed("a", [1])),
        (Item.c.at.desc(), hexed("a", "yesterday")),
        (Item.c.size, hexed("a", "gigantic")),
        (Item.c.sold, hexed("a", {})),
    ],
)
def test_a_cursor_of_something_else_is_refused(order_by: Any, after: str) -> None:
    """Cut off, made up, or from a query with another order: the text says what to pass."""

    async def scenario() -> None:
        async with stored(Item(key="a")) as views:
            with pytest.raises(InvalidMessage, match=r"after=.* is not from a page of this query.*`next`"):
                await views.find(Item, order_by=order_by, after=after)

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_page_has_a_size(limit: int) -> None:
    """A view of a million rows is not loaded by mistake."""

    async def scenario() -> None:
        async with stored() as views:
            with pytest.raises(InvalidMessage, match=rf"limit={limit}: ask for 1 to 10000 rows.*page\.next"):
                await views.find(Item, limit=limit)

    asyncio.run(scenario())


@pytest.mark.parametrize("order_by", [Other.c.rank, func.lower(Item.c.key), Item.c.rank.desc().nulls_last(), "rank"])
def test_an_order_that_pages_cannot_have_is_refused(order_by: Any) -> None:
    """Rather than giving pages that leave out rows."""

    async def scenario() -> None:
        async with stored() as views:
            with pytest.raises(DeclarationError, match=r"is not a column of Item.*views\.select"):
                await views.find(Item, order_by=order_by)

    asyncio.run(scenario())


def test_decimals_are_not_compared_as_text() -> None:
    """Ten would be less than nine."""
    refused = r"price is a Decimal.*cents"
    for operator in (gt, eq, lt, ne):
        with pytest.raises(DeclarationError, match=refused):
            operator(Item.c.price, Decimal(9))
    with pytest.raises(DeclarationError, match=refused):
        Item.c.price.desc()

    async def scenario() -> None:
        async with stored(Item(key="a", price=Decimal("1.50"))) as views:
            with pytest.raises(DeclarationError, match=refused):
                await views.find(Item, order_by=Item.c.price)
            (row,) = await views.select(select(Item.c.price))
            assert str(row.price) == "1.50"

    asyncio.run(scenario())


def test_a_statement_waits_for_every_view_that_it_names() -> None:
    """Wherever in it: columns, conditions, subqueries, common table expressions."""
    rank = select(func.max(Other.c.rank)).scalar_subquery()
    cte = select(Other.c.rank).cte()
    statements = {
        select(Item.c.key): {"item_v1"},
        select(func.count()).select_from(Item.c.key.table): {"item_v1"},
        select(Item.c.key).join(Other.c.key.table, Other.c.rank == Item.c.rank): {"item_v1", "other_v1"},
        select(Item.c.key).where(Item.c.rank == rank): {"item_v1", "other_v1"},
        select(Item.c.key).where(exists().where(Other.c.rank == Item.c.rank)): {"item_v1", "other_v1"},
        select(cte.c.rank): {"other_v1"},
        select(select(Other.c.rank).subquery().c.rank): {"other_v1"},
        select(Other.c.rank).union(select(Item.c.rank)): {"item_v1", "other_v1"},
    }

    async def scenario() -> None:
        versions = NamedTables()
        async with stored(Item(key="a"), Other(key=1), versions=versions) as views:
            for statement, tables in statements.items():
                versions.named.clear()
                await views.select(statement)
                assert set(versions.named) == tables, statement

    asyncio.run(scenario())


def test_get_and_find_wait_for_their_view() -> None:
    """And a row that is not there is None."""

    async def scenario() -> None:
        versions = NamedTables()
        async with stored(Item(key="a"), versions=versions) as views:
            assert await views.get(Item, "a") == Item(key="a")
            assert await views.get(Other, 1) is None
            assert list(await views.find(Other)) == []
        assert versions.named == ["item_v1", "other_v1", "other_v1"]

    asyncio.run(scenario())
