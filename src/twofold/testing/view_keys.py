"""That a database for views finds rows by keys of several parts: one for each combination, by each part all that have it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from random import Random
from types import new_class
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import func, select

from twofold.errors import DeclarationError, InvalidMessage, ValueRefused
from twofold.followers import Checkpoint, Claim, claiming
from twofold.followers.shadow import shadow_follower
from twofold.messages import Tag
from twofold.queries import Views
from twofold.testing.claim_conformance import ENDED, LEASE_SECONDS
from twofold.testing.samples import ODD_KEYS, Colour
from twofold.testing.view_rebuilding import ViewRebuilding
from twofold.testing.view_values import Priority
from twofold.views import TableChange, View, ViewStore, layout, replacing, schema
from twofold.views.bounds import LONGEST_INDEXED_BYTES, Packer
from twofold.views.shadow import shadow_layout
from twofold.views.tables import table_of

ArticleId = Annotated[str, Tag("article")]
UserId = Annotated[int, Tag("user")]


class Star(View, key=(ArticleId, UserId)):
    """A user's star of an article."""

    note: str = ""
    order: int = 0


class Pair(View, key=(ArticleId, Annotated[str, Tag("user")])):
    """Nothing but a key, of two texts: the ends of the one and the beginnings of the other are easily confused."""


class Mixed(View, key=(Annotated[UUID, Tag("id")], Annotated[date, Tag("day")], Annotated[Colour, Tag("colour")])):
    """A key of three parts, none of which is stored as it is."""

    total: int = 0


class Ranked(View, key=(Annotated[Priority, Tag("priority")], Annotated[str, Tag("order-line")])):
    """A number that is an enum's, and a tag that is no name of a column."""

    total: int = 0


_PAIRS = [
    *[("a:b", "c"), ("a", "b:c"), ("a,b", "c"), ("a", "b,c"), ("a,", "c"), ("a", ",c"), ("", "x"), ("x", "")],
    *[("ab", "c"), ("a", "bc"), ("A", "bc"), ("a ", "bc"), ("ä", "bc"), ("a\u0308", "bc"), ("", "")],
    *[(odd, "odd") for odd in ODD_KEYS],
    *[("odd", odd) for odd in ODD_KEYS],
]
_SAMPLES: dict[str, list[View]] = {
    "texts": [Pair(key=pair) for pair in _PAIRS],
    "a text and a number": [
        Star(key=(odd, number), note=odd, order=number) for odd in ODD_KEYS for number in (-(2**63), 0, 7, 2**63 - 1)
    ],
    "a UUID, a date and an enum": [
        Mixed(key=(UUID(int=number), day, colour), total=number % 7)
        for number in (0, 0xA0, 2**128 - 1)
        for day in (date.min, date(999, 12, 31), date.max)
        for colour in Colour
    ],
    "an enum of numbers and a text": [
        Ranked(key=(each, text), total=each.value) for each in Priority for text in ("a", "b")
    ],
}


class ViewKeys(ViewRebuilding):
    """What `ViewConformance` says of keys with several parts."""

    @pytest.mark.parametrize("rows", _SAMPLES.values(), ids=_SAMPLES)
    def test_each_combination_of_a_key_is_a_row_of_its_own(self, stores: Any, rows: list[View]) -> None:
        """Whatever is in its parts: it is found, replaced and deleted alone, and comes back with values of their types."""
        view: Any = type(rows[0])
        shape = layout(view)

        async def scenario(store: ViewStore) -> None:
            claim = await _write(store, rows)
            for row in rows:
                (stored,) = await store.load(shape, [Packer(shape).key(row.key)])
                assert shape.unpack(stored) == row == await Views(store).get(view, row.key)
                assert repr(shape.unpack(stored)) == repr(row)
            for number, row in enumerate(rows, 1):
                change = TableChange(shape, [Packer(shape).row(row)], [Packer(shape).key(row.key)])
                await store.commit(Checkpoint(claim, claim.position + 1), [change])
                assert await _count(store, view) == len(rows) - number

        self.run(stores, scenario)

    @pytest.mark.parametrize("rows", _SAMPLES.values(), ids=_SAMPLES)
    def test_rows_come_in_the_order_of_their_keys(self, stores: Any, rows: list[View]) -> None:
        """By the first part and then the next, a page at a time; or by any one of them, and then by all."""
        view: Any = type(rows[0])

        async def scenario(store: ViewStore) -> None:
            await _write(store, rows)
            views = Views(store)
            assert await _paged(views, view) == [row.key for row in sorted(rows, key=_key)]
            for place, column in enumerate(layout(view).key_columns):
                if view is Mixed and column.name == "colour":
                    continue
                named = view.c[column.name]
                up = sorted(sorted(rows, key=_key), key=lambda row: row.key[place])
                down = sorted(sorted(rows, key=_key), key=lambda row: row.key[place], reverse=True)
                assert await _paged(views, view, order_by=named) == [row.key for row in up]
                assert await _paged(views, view, order_by=named.desc()) == [row.key for row in down]

        self.run(stores, scenario)

    def test_rows_are_found_by_each_part(self, stores: Any) -> None:
        """By conditions as for any column; a value that the part could not be is refused."""

        async def scenario(store: ViewStore) -> None:
            rows = [Star(key=(article, user)) for article in ("a", "b", "c") for user in (2, 9, 10)]
            await _write(store, rows)
            views = Views(store)
            for condition, found in (
                (Star.c.article == "b", [row for row in rows if row.key[0] == "b"]),
                (Star.c.user == 10, [row for row in rows if row.key[1] == 10]),
                (Star.c.user > 2, [row for row in rows if row.key[1] > 2]),
                ((Star.c.article >= "b") & (Star.c.user < 10), [r for r in rows if r.key[0] >= "b" and r.key[1] < 10]),
            ):
                assert (await views.find(Star, condition)).rows == found
            counted = select(Star.c.article, func.count()).group_by(Star.c.article).order_by(Star.c.article)
            assert [tuple(row) for row in await views.select(counted)] == [("a", 3), ("b", 3), ("c", 3)]
            with pytest.raises(DeclarationError, match="user is compared with what it cannot be"):
                await views.find(Star, Star.c.user == "ten")

        self.run(stores, scenario)

    def test_a_place_in_the_pages_of_another_key_is_refused(self, stores: Any) -> None:
        """With parts missing, with one too many, of another type, or of a view with a key of one part."""

        async def scenario(store: ViewStore) -> None:
            await schema.create(store, layout(Star))
            for key in (["a"], ["a", 7, 7], ["a", "7"], [7, "a"], "a7", 7, None, {"a": 7}):
                after = msgspec.json.encode([key, None]).hex()
                with pytest.raises(InvalidMessage, match="is not from a page of this query"):
                    await Views(store).find(Star, after=after)

        self.run(stores, scenario)

    def test_many_rows_of_several_parts_are_written_read_and_deleted_at_once(self, stores: Any) -> None:
        """A batch may touch thousands; keys without a row are left out, and no keys find no rows."""
        rows = [Star(key=(f"article-{n % 61:04}", n), order=n) for n in range(3000)]
        shape = layout(Star)

        async def scenario(store: ViewStore) -> None:
            claim = await _write(store, rows)
            keys = [Packer(shape).key(row.key) for row in rows]
            found = await store.load(shape, [*keys, *[(article, user + 1) for article, user in keys]])
            assert sorted(found) == sorted(Packer(shape).rows(rows))
            assert await store.load(shape, []) == []
            await store.commit(Checkpoint(claim, 2), [TableChange(shape, [], keys[1:])])
            assert await Views(store).get(Star, rows[0].key) == rows[0]
            assert await _count(store, Star) == 1

        self.run(stores, scenario)

    def test_a_preview_of_several_parts_keeps_nothing(self, stores: Any) -> None:
        """It shows the rows as they would be, with the part of each that is asked for."""
        shape = layout(Star)

        async def scenario(store: ViewStore) -> None:
            await _write(store, [Star(key=("a", 1), order=1), Star(key=("a", 2), order=2)])
            change = TableChange(shape, [("a", 1, "", 10), ("b", 1, "", 3)], [("a", 2)])
            found = await store.preview([change], shape, [("a", 1), ("a", 2), ("b", 1), ("b", 2)])
            assert sorted(found) == [("a", 1, "", 10), ("b", 1, "", 3)]
            assert await _count(store, Star) == 2

        self.run(stores, scenario)

    def test_the_longest_parts_that_are_taken_have_room(self, stores: Any) -> None:
        """Together they are as long as one key may be; a longer one is refused before a database is asked."""
        longest = Random(7).choices([chr(code) for code in range(0x4E00, 0x9FA5)], k=LONGEST_INDEXED_BYTES // 6)
        text = "".join(longest)
        row = Pair(key=(text, text[::-1]))

        async def scenario(store: ViewStore) -> None:
            packer = Packer(layout(Pair))
            assert sum(len(part.encode()) for part in packer.key(row.key)) > LONGEST_INDEXED_BYTES - 10
            await _write(store, [row])
            assert await Views(store).get(Pair, row.key) == row
            for key in ((text + "aaa", ""), ("", text + "aaa")):
                with pytest.raises(ValueRefused, match=r"Pair\.(article|user) cannot be stored"):
                    packer.row(Pair(key=key))
                assert await Views(store).get(Pair, key) is None

        self.run(stores, scenario)

    def test_a_table_with_another_key_is_refused(self, stores: Any) -> None:
        """Also if the columns are the same: rows would be taken for each other. The text names the version to declare.

        Until that is filled, the table is read where its rows are the same: the parts may stand in another order.
        """

        async def scenario(store: ViewStore) -> None:
            await schema.create(store, layout(Star))
            for changed, is_readable in _changed_stars():
                with pytest.raises(DeclarationError, match=r"Star.*star_v1.*version=2"):
                    await schema.create(store, layout(changed))
                assert await schema.has(store, layout(changed)) is is_readable
            await schema.create(store, layout(Star))
            assert await schema.has(store, layout(Star))

        self.run(stores, scenario)

    def test_rows_of_a_longer_key_are_not_read_as_those_of_a_shorter_one(self, stores: Any) -> None:
        """It has all of their columns, and several rows for one key."""
        longer = _star((ArticleId, UserId, Annotated[str, Tag("place")]), note=str, order=int)

        async def scenario(store: ViewStore) -> None:
            await schema.create(store, layout(longer))
            assert await schema.has(store, layout(longer))
            assert not await schema.has(store, layout(Star))

        self.run(stores, scenario)

    def test_a_view_with_a_key_of_several_parts_is_rebuilt(self, stores: Any) -> None:
        """Again and again: the table that took over has the same key and indexes, and the next start finds what it expects."""
        shape, shadow = layout(Star), shadow_layout(layout(Star))

        async def scenario(store: ViewStore) -> None:
            await _write(store, [Star(key=("a", 1), order=1)])
            for number in range(2, 5):
                assert await replacing.begin(store, "star_v1", [shape])
                claim = await _claim(store, shadow_follower("star_v1"), LEASE_SECONDS)
                puts = [("a", 1, "", number), ("a", 2, "", number)]
                for _ in range(2):
                    await store.commit(Checkpoint(claim, 9), [TableChange(shadow, puts, [])])
                assert sorted(await store.load(shadow, [("a", 1), ("a", 2), ("a", 3)])) == puts
                assert await replacing.take_over(store, "star_v1", [shape])
                await schema.create(store, shape)
                assert [row.order for row in await Views(store).find(Star)] == [number, number]

        self.run(stores, scenario)


def _star(key: Any, **fields: Any) -> Any:
    """Return a view of the name and table of `Star` with another key."""
    body = {"__annotations__": fields, **{name: "" if kind is str else 0 for name, kind in fields.items()}}
    return new_class("Star", (View,), {"key": key}, lambda namespace: namespace.update(body, __module__=__name__))


def _changed_stars() -> list[tuple[type[View], bool]]:
    """Return views with other keys than `Star`, and whether its rows can be read as theirs."""
    return [
        (_star((ArticleId, UserId, Annotated[str, Tag("note")]), order=int), False),
        (_star((ArticleId, Annotated[str, Tag("note")]), user=int, order=int), False),
        (_star((UserId, ArticleId), note=str, order=int), True),
        (_star((ArticleId, Annotated[str, Tag("user")]), note=str, order=int), False),
        (_star(ArticleId, note=str, order=int), False),
    ]


def _key(row: Any) -> Any:
    """Return a row's key as databases order it."""
    return tuple([part.value if isinstance(part, Colour) else part for part in row.key])


async def _paged(views: Views, view: Any, **how: Any) -> list[Any]:
    found = [await views.find(view, limit=3, **how)]
    while found[-1].next:
        found.append(await views.find(view, limit=3, after=found[-1].next, **how))
    return [row.key for page in found for row in page]


async def _claim(store: ViewStore, follower: str, lease_seconds: float) -> Claim:
    claims = await claiming.attend(store, "ann", [follower], lease_seconds)
    (claim,) = [each for each in claims if each.follower == follower]
    return claim


async def _write(store: ViewStore, rows: Sequence[View]) -> Claim:
    shape = layout(type(rows[0]))
    await schema.create(store, shape)
    claim = await _claim(store, shape.table, ENDED)
    await store.commit(Checkpoint(claim, claim.position + 1), [TableChange(shape, Packer(shape).rows(rows), [])])
    return claim


async def _count(store: ViewStore, view: Any) -> int:
    ((count,),) = await store.select(select(func.count()).select_from(table_of(view)))
    return int(count)
