"""That a database for views compares and orders what is stored as Python does the values, or that it is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from operator import eq, ge, gt, le, lt, ne
from types import new_class
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import bindparam, case, func, literal, select, tuple_, union

from twofold.errors import DeclarationError, InvalidMessage, ValueRefused
from twofold.followers import Checkpoint, claiming
from twofold.messages import Meta, Tag
from twofold.queries import Views
from twofold.testing.claim_conformance import ENDED, ClaimConformance
from twofold.views import TableChange, View, ViewStore, layout, schema
from twofold.views.bounds import Packer


class Priority(IntEnum):
    """Whole numbers of which the texts have another order."""

    LOW = 2
    HIGH = 10
    NONE = -1


class Size(Enum):
    """Whole numbers by other names."""

    SMALL = 2
    TALL = 10


class Word(StrEnum):
    """Texts, declared in another order."""

    ZEBRA = "Zebra"
    APPLE = "apple"
    ANGLE = "Ängle"


class Ranked(StrEnum):
    """Texts with an order that only their class knows."""

    FIRST = "z"
    SECOND = "a"

    def __lt__(self, other: str) -> bool:
        return [*Ranked].index(self) < [*Ranked].index(Ranked(other))


class Line(msgspec.Struct, frozen=True):
    """A struct within a row."""

    sku: str


_EAST, _WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
_TEXTS = [
    "",
    " ",
    "-",
    "A",
    "B",
    "a",
    "a b",
    "a-b",
    "ab",
    "b",
    "z",
    "Ä",
    "ä",
    "a\u0308",
    "é",
    "ß",
    "\uffff",
    "\U0001f642",
]
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_DAYS = [date.min, date(999, 12, 31), date(1000, 1, 1), date(2026, 1, 31), date(2026, 2, 1), date.max]

COMPARED: dict[str, tuple[Any, list[Any]]] = {
    "str": (str, _TEXTS),
    "int": (int, [-(2**63), -10, -9, 0, 9, 10, 2**53, 2**53 + 1, 2**63 - 1]),
    "float": (float, [float("-inf"), -1e300, -10.0, -9.5, -5e-324, 0.0, 5e-324, 9.5, 10.0, 1e16, 1e300, float("inf")]),
    "bool": (bool, [False, True]),
    "IntEnum": (Priority, [*Priority]),
    "StrEnum": (Word, [*Word]),
    "Literal texts": (Literal["b", "Z", "a"], ["b", "Z", "a"]),
    "Literal numbers": (Literal[9, 10, -1], [9, 10, -1]),
    "UUID": (UUID, [UUID(int=0), UUID(int=2**127), UUID(int=2**128 - 1), UUID(int=0xA0), UUID(int=0x9F)]),
    "bytes": (bytes, [b"", b"\0", b"\0\0", b"a", b"\x7f", b"\x80", b"\xff", b"\xff\0"]),
    "date": (date, _DAYS),
    "timedelta": (
        timedelta,
        [timedelta(days=n, microseconds=m) for n in (-100_000_000, -1, 0, 2, 100_000_000) for m in (0, 1)],
    ),
    "local datetime": (
        Annotated[datetime, Meta(tz=False)],
        [datetime.combine(day, time(23, 59, 59, 999999 * n)) for day in _DAYS for n in (0, 1)],
    ),
    "datetime": (
        Annotated[datetime, Meta(tz=True)],
        [
            *[_NOON + timedelta(microseconds=n) for n in (-1, 1, 500_000, 1_000_000)],
            *[_NOON.replace(tzinfo=_EAST), _NOON.replace(tzinfo=_WEST), _NOON.astimezone(_WEST)],
            *[datetime.min.replace(tzinfo=zone) for zone in (_EAST, UTC, _WEST)],
            *[datetime.max.replace(tzinfo=zone) for zone in (_EAST, UTC, _WEST)],
        ],
    ),
    "time": (Annotated[time, Meta(tz=False)], [time.min, time(9), time(10), time(10, 0, 0, 1), time.max]),
}
"""Types that a database compares as Python does, with values for which that is not a matter of course."""

REFUSED: dict[str, tuple[Any, list[Any]]] = {
    "Decimal": (Decimal, [Decimal(9), Decimal("10.0"), Decimal("10.00")]),
    "int | float": (int | float, [9.5, 10]),
    "int | str": (int | str, [9, "10"]),
    "time with a zone": (Annotated[time, Meta(tz=True)], [time(13, tzinfo=_EAST), time(12, tzinfo=UTC)]),
    "time of either kind": (time | None, [time(13, tzinfo=_EAST), time(12)]),
    "datetime of either kind": (datetime | None, [_NOON, datetime(2026, 1, 1)]),  # noqa: DTZ001
    "struct": (Line, [Line("a"), Line("b")]),
    "dict": (dict[str, int], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]),
    "list": (list[float], [[1.0], [2.0]]),
    "tuple": (tuple[int, ...], [(9,), (10,)]),
    "frozenset": (frozenset[str], [frozenset("ab"), frozenset("ba")]),
    "Enum with an order of its own": (Ranked, [*Ranked]),
}
"""Types that are stored, and of which a database would compare something else than the values."""

UNSTORABLE: list[tuple[Any, Any]] = [
    *[(str, each) for each in ("a\0b", "\ud800", 5, None, b"a")],
    *[(int, each) for each in (2**63, -(2**63) - 1, "5", 5.0, True, None)],
    *[(float, each) for each in (float("nan"), 2**53 + 1, 10**400, "5", True, None)],
    *[(Priority, each) for each in (3, "2", 2.5)],
    *[(Size, each) for each in (2, "SMALL")],
    (Word, "none"),
    *[(date, each) for each in (_NOON, "2026-01-01")],
    *[
        (Annotated[datetime, Meta(tz=True)], each)
        for each in (_NOON.replace(tzinfo=None), date(2026, 1, 1), "2026-01-01", 5)
    ],
    (Annotated[datetime, Meta(tz=False)], _NOON),
    (Annotated[time, Meta(tz=False)], time(12, tzinfo=UTC)),
    *[(timedelta, each) for each in (5, timedelta.max)],
    *[(UUID, each) for each in (5, str(UUID(int=5)))],
    *[(bytes, each) for each in ("a", bytearray(b"a"))],
    *[(bool, each) for each in (1, "yes")],
]
"""Values that no database may be given, for a row or to compare with."""


class Compared(NamedTuple):
    """A way to compare, with its like in Python."""

    condition: Callable[[Any, Any], Any]
    holds: Callable[[Any, Any], bool]


_WAYS = [Compared(operator, operator) for operator in (eq, ne, lt, le, gt, ge)] + [
    Compared(lambda column, bound: column.in_([bound]), eq),
    Compared(lambda column, bound: column.between(bound, bound), eq),
]


def view_of(kind: Any, default: Any = msgspec.NODEFAULT) -> Any:
    """Return a view with one field of a type, which may be missing."""
    body = {"__annotations__": {"value": kind, "maybe": kind | None}, "__module__": __name__, "maybe": None}
    if default is not msgspec.NODEFAULT:
        body["value"] = default
    return new_class(
        "Valued", (View,), {"key": Annotated[int, Tag("valued")]}, lambda namespace: namespace.update(body)
    )


async def fill(store: ViewStore, view: Any, values: Sequence[Any]) -> list[Any]:
    """LogStore rows with the values, one each, and one whose value may be missing and is; return them by their keys."""
    rows = [view(key=n, value=value, maybe=value) for n, value in enumerate(values)]
    rows.append(view(key=len(values), value=values[0]))
    shape = layout(view)
    await schema.create(store, shape)
    (claim,) = [
        each for each in await claiming.attend(store, "ann", [shape.table], ENDED) if each.follower == shape.table
    ]
    await store.commit(Checkpoint(claim, claim.position + 1), [TableChange(shape, Packer(shape).rows(rows), [])])
    return rows


async def check_comparisons(views: Views, view: Any, rows: Sequence[Any], bound: Any) -> None:
    """Check that conditions with a value find the rows for which they hold."""
    column = view.c.value
    # SQLAlchemy lets truths be equal or not, and no more.
    for way in _WAYS[:2] if isinstance(bound, bool) else _WAYS:
        found = (await views.find(view, way.condition(column, bound))).rows
        assert [row.key for row in found] == [row.key for row in rows if way.holds(row.value, bound)], bound


async def check_order(views: Views, view: Any, rows: Sequence[Any]) -> None:
    """Check that pages have the rows in order, up and down, a missing value before all others."""
    for name in ("value", "maybe"):
        column = getattr(view.c, name)
        there = sorted([row for row in rows if getattr(row, name) is not None], key=lambda row: getattr(row, name))
        missing = [row for row in rows if getattr(row, name) is None]
        down = sorted(there, key=lambda row: getattr(row, name), reverse=True)
        assert await _paged(views, view, column) == [row.key for row in missing + there]
        assert await _paged(views, view, column.desc()) == [row.key for row in down + missing]


async def _paged(views: Views, view: Any, order_by: Any) -> list[int]:
    found = [await views.find(view, order_by=order_by, limit=3)]
    while found[-1].next:
        found.append(await views.find(view, order_by=order_by, limit=3, after=found[-1].next))
    return [row.key for page in found for row in page]


class ViewValues(ClaimConformance):
    """What `ViewConformance` says of values."""

    @pytest.mark.parametrize(("kind", "values"), COMPARED.values(), ids=COMPARED)
    def test_rows_are_compared_as_their_values_are(self, stores: Any, kind: Any, values: list[Any]) -> None:
        """By every condition, in every order, page by page; the greatest and the least are those of Python."""
        view = view_of(kind)

        async def scenario(store: ViewStore) -> None:
            rows = await fill(store, view, values)
            views = Views(store)
            for bound in values:
                await check_comparisons(views, view, rows, bound)
            await check_order(views, view, rows)
            if kind is not bool:
                ((least, most),) = await views.select(select(func.min(view.c.value), func.max(view.c.value)))
                assert (least, most) == (min(values), max(values))

        self.run(stores, scenario)

    @pytest.mark.parametrize(("kind", "values"), (COMPARED | REFUSED).values(), ids=[*COMPARED, *REFUSED])
    def test_a_value_comes_back_equal_and_of_its_type(self, stores: Any, kind: Any, values: list[Any]) -> None:
        """Also where no database can compare it."""
        view = view_of(kind)

        async def scenario(store: ViewStore) -> None:
            rows = await fill(store, view, values)
            found = [await Views(store).get(view, row.key) for row in rows]
            assert found == rows
            assert [type(row.value) for row in found if row] == [type(row.value) for row in rows]

        self.run(stores, scenario)

    @pytest.mark.parametrize(("kind", "values"), REFUSED.values(), ids=REFUSED)
    def test_what_no_database_compares_rightly_is_refused(self, stores: Any, kind: Any, values: list[Any]) -> None:
        """In conditions, in order, in groups, as the least and the greatest; that a value is missing can be asked."""
        view = view_of(kind)

        async def scenario(store: ViewStore) -> None:
            rows = await fill(store, view, values)
            views, column = Views(store), view.c.value
            for way in _WAYS:
                with pytest.raises(DeclarationError, match=r"^value "):
                    way.condition(column, values[0])
            for order_by in (column, view.c.maybe):
                with pytest.raises(DeclarationError, match=r"(value|maybe) "):
                    await views.find(view, order_by=order_by)
            for statement in (
                select(func.max(column)),
                select(func.min(column)),
                select(func.sum(column)),
                select(view.c.key).order_by(column),
                select(func.count()).group_by(column),
                select(column).distinct(),
                select(column.label("named")).order_by("named"),
                select(func.row_number().over(order_by=column)),
                select(func.count().over(partition_by=column)),
                select(view.c.key).where(tuple_(view.c.key, column) > tuple_(1, column)),
                union(select(column), select(column)).order_by("value"),
            ):
                with pytest.raises(DeclarationError, match="value"):
                    await views.select(statement)
            assert [row.key for row in await views.find(view, view.c.maybe.is_(None))] == [len(values)]
            ((count,),) = await views.select(select(func.count(column)))
            assert count == len(rows)

        self.run(stores, scenario)

    @pytest.mark.parametrize(("kind", "value"), UNSTORABLE, ids=lambda each: ascii(each)[:40])
    def test_what_not_every_database_takes_is_taken_by_none(self, stores: Any, kind: Any, value: Any) -> None:
        """Neither in a row nor to compare with; it is refused before a database is asked, and the text names the field."""
        view = view_of(kind)

        async def scenario(store: ViewStore) -> None:
            await schema.create(store, layout(view))
            with pytest.raises(ValueRefused, match=r"Valued\.value cannot be stored: "):
                Packer(layout(view)).row(view(key=1, value=value))
            if value is not None and kind is not bool:
                with pytest.raises(
                    (DeclarationError, InvalidMessage), match="value is compared with what it cannot be"
                ):
                    await Views(store).find(view, view.c.value >= value)

        self.run(stores, scenario)

    def test_texts_are_found_by_what_is_in_them(self, stores: Any) -> None:
        """By a pattern, a beginning, an end, a function of the text."""
        view = view_of(str)

        async def scenario(store: ViewStore) -> None:
            await fill(store, view, ["apple", "Banana", "50%"])
            views, column = Views(store), view.c.value
            for condition, keys in (
                (column.like("%an%"), [1]),
                (column.startswith("a"), [0, 3]),
                (column.endswith("%", autoescape=True), [2]),
                (column.contains("p"), [0, 3]),
                (func.lower(column) == "banana", [1]),
                (column.in_([]), []),
                (column.not_in(["apple"]), [1, 2]),
                (view.c.key * 2 > 3, [2, 3]),
            ):
                assert [row.key for row in await views.find(view, condition)] == keys

        self.run(stores, scenario)

    @pytest.mark.parametrize("name", sorted(COMPARED.keys() - {"str", "Literal texts", "bool"}))
    def test_what_is_no_text_is_not_looked_into(self, name: str) -> None:
        """What it is stored as may have a part that the value has not, as hexadecimal digits have at odd places."""
        kind, values = COMPARED[name]
        column = view_of(kind).c.value
        for condition in (column.contains, column.startswith, column.like, column.ilike, column.regexp_match):
            with pytest.raises(
                DeclarationError, match="value is no text, and SQL would look into what it is stored as"
            ):
                condition(values[0])

    def test_patterns_mean_the_same(self, stores: Any) -> None:
        """They tell upper from lower case, unless they are asked not to, and a backslash takes what follows as it is."""
        view = view_of(str)

        async def scenario(store: ViewStore) -> None:
            await fill(store, view, ["apple", "Apple", "50%", "\\"])
            views, column = Views(store), view.c.value
            for condition, keys in (
                (column.like("a%"), [0, 4]),
                (column.not_like("a%"), [1, 2, 3]),
                (column.startswith("A"), [1]),
                (column.contains("PP"), []),
                (column.ilike("A%"), [0, 1, 4]),
                (column.icontains("PP"), [0, 1, 4]),
                (column.like("%\\%"), [2]),
                (column.like("/%", escape="/"), []),
                (column.endswith("\\\\"), [3]),
            ):
                assert [row.key for row in await views.find(view, condition)] == keys, condition

        self.run(stores, scenario)

    def test_sums_and_averages_are_the_same_numbers(self, stores: Any) -> None:
        """A sum of whole numbers is one, an average a float; there is none of enums and truths, which it would not be."""
        whole = view_of(int)

        async def scenario(store: ViewStore) -> None:
            await fill(store, whole, [1, 2, 5])
            views, column = Views(store), whole.c.value
            statement = select(
                func.sum(column).filter(column > 0),
                func.sum(column * 2).label("twice"),
                func.avg(column).label("mean"),
                func.avg(column.distinct()),
            )
            (found,) = await views.select(statement)
            assert [(type(each), each) for each in found] == [
                (int, 9),
                (int, 18),
                (float, 2.25),
                (float, 8 / 3),
            ]
            running = select(func.sum(column).over(order_by=whole.c.key)).order_by(whole.c.key)
            assert [(type(each), each) for (each,) in await views.select(running)] == [(int, n) for n in (1, 3, 8, 9)]
            for kind in (Priority, Size, bool):
                counted = view_of(kind)
                for add in (func.sum, func.avg):
                    with pytest.raises(DeclarationError, match="value: "):
                        await views.select(select(add(counted.c.value)))
            for least in (func.min, func.max):
                with pytest.raises(DeclarationError, match="has none of truths"):
                    await views.select(select(least(view_of(bool).c.value)))
            with pytest.raises(DeclarationError, match="divide the sum"):
                await views.select(select(func.avg(view_of(timedelta).c.value)))

        self.run(stores, scenario)

    def test_what_is_beside_a_column_is_stored_as_it_is(self, stores: Any) -> None:
        """A value that SQLAlchemy would write in another form is refused, on whichever side; one with the type is fine."""
        view = view_of(Annotated[datetime, Meta(tz=True)])

        async def scenario(store: ViewStore) -> None:
            await fill(store, view, [_NOON])
            views, column, noon = Views(store), view.c.maybe, literal(_NOON, view.c.maybe.type)
            for wrong in (literal(_NOON), func.now(), func.strftime("%Y", "now")):
                for condition in (
                    wrong >= column,
                    wrong.between(column, column),
                    column < wrong,
                    func.coalesce(column, wrong) == noon,
                    case((view.c.key == 0, column), else_=wrong) == noon,
                ):
                    with pytest.raises(DeclarationError, match=r"maybe is compared or combined with .* literal"):
                        await views.find(view, condition)
            for right in (
                noon >= column,
                func.coalesce(column, noon) == noon,
                column == bindparam("at", _NOON, column.type),
            ):
                assert 0 in [row.key for row in await views.find(view, right)]
            assert await views.select(select(func.coalesce(column, noon)).order_by(view.c.key)) == [(_NOON,), (_NOON,)]

        self.run(stores, scenario)

    def test_durations_can_be_added(self, stores: Any) -> None:
        """A sum of them is one; what is stored as text cannot be added, and no database is asked to."""
        view, dated = view_of(timedelta), view_of(date)

        async def scenario(store: ViewStore) -> None:
            await fill(store, view, [timedelta(seconds=n) for n in (5, 90)])
            views = Views(store)
            assert [*(await views.select(select(func.sum(view.c.value))))[0]] == [timedelta(seconds=100)]
            for add in (func.sum, func.avg):
                with pytest.raises(DeclarationError, match="SQL cannot add"):
                    await views.select(select(add(dated.c.value)))
            with pytest.raises(DeclarationError, match="SQL would calculate"):
                view.c.value + timedelta(seconds=5)

        self.run(stores, scenario)

    def test_columns_are_compared_with_their_like(self, stores: Any) -> None:
        """Two of one type; of two types there is no telling what SQL would say."""
        view, dated = view_of(timedelta), view_of(date)

        async def scenario(store: ViewStore) -> None:
            await fill(store, view, [timedelta(seconds=5), timedelta(days=5)])
            found = await Views(store).find(view, view.c.value == view.c.maybe)
            assert [row.key for row in found] == [0, 1]
            with pytest.raises(DeclarationError, match="another type"):
                view.c.value == dated.c.value  # noqa: B015
            with pytest.raises(DeclarationError, match="another type"):
                view.c.value > view.c.key  # noqa: B015

        self.run(stores, scenario)
