"""The one recorder: the log gives back what was recorded, of the same types, or nothing is recorded and the field is named."""

import enum
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold import Event, Tag
from twofold.errors import UnrecordableEvent
from twofold.log import foreign_event, recordable
from twofold.messages import Command, content_digest, difference, reader

BoxId = Annotated[str, Tag("box")]
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


class Text(str):
    __slots__ = ()


class Part(msgspec.Struct, frozen=True):
    units: int = 0


class Pair(NamedTuple):
    left: int
    right: int


@dataclass(frozen=True)
class Note:
    words: tuple[str, ...] = ()


class Anything(Event):
    box: BoxId = "b"
    value: Any = None


class Heard(Event, source="boxes"):
    box: BoxId


class Typed(Event):
    box: BoxId = "b"
    number: int = 0
    rate: float = 0.0
    price: Decimal = Decimal(0)
    on: date = date(2026, 1, 1)
    at: datetime | None = None
    hour: time | None = None
    lasts: timedelta = timedelta()
    id: UUID | None = None
    colour: Colour = Colour.RED
    kind: Literal["a", "b"] = "a"
    part: Part = Part()
    pair: Pair = Pair(1, 2)
    note: Note = Note()
    names: frozenset[str] = frozenset()
    table: dict[int, list[Part | None]] = {}
    data: bytes = b""
    either: int | str | None = None
    several: tuple[int | float, ...] = ()


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, Decimal("1.10"), date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), time(12), timedelta(1),
        (1, 2), {"in": (1,)}, [{"deep": [Decimal(1)]}], b"ab", bytearray(b"ab"), {1: "a"}, {"a"}, frozenset("a"),
        UUID(int=1), Colour.RED, Size.SMALL, Part(), Pair(1, 2), Note(), Text("a"), "\ud800", object(), {None: 1},
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)  # fmt: skip
def test_what_json_makes_something_else_of_is_refused(value: object) -> None:
    """In a field of any type nothing says what it was, so a restart would change what the next decision sees."""
    with pytest.raises(UnrecordableEvent, match=r"Anything: .*value"):
        recordable(Anything(value=value), "id", b"{}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "five"), ("number", True), ("number", 1.5), ("number", None), ("rate", math.nan), ("rate", math.inf),
        ("rate", (1 << 53) + 1), ("price", 1.5), ("price", Decimal("sNaN")), ("on", datetime(2026, 1, 1, tzinfo=UTC)),
        ("at", datetime(1890, 1, 1, tzinfo=BERLIN)),

        ("colour", "red"), ("kind", "c"), ("part", {"units": 1}), ("part", None), ("names", {"a"}), ("names", ["a"]),
        ("table", {"1": []}), ("data", "ab"), ("data", bytearray(b"ab")), ("either", Text("a")), ("either", 1.0),
        ("several", [1]), ("several", (True,)), ("id", "00000000-0000-0000-0000-000000000001"), ("note", Note(["a"])),  # type: ignore[arg-type]
        ("pair", (1, 2)), ("box", 5),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)  # fmt: skip
def test_what_does_not_fit_its_field_is_refused(field: str, value: Any) -> None:
    """Nothing checks a value when an event is made, so it is checked before it is in the log for ever; the field is named."""
    with pytest.raises(UnrecordableEvent, match=rf"Typed: .*{field}"):
        recordable(Typed(**{field: value}), "id", b"{}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", 1), ("at", datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN)), ("at", datetime.max.replace(tzinfo=UTC)),
        ("at", datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=BERLIN)), ("at", datetime.min),  # noqa: DTZ901
        ("at", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))),
        ("hour", time(12, tzinfo=timezone(timedelta(hours=-3)))), ("price", Decimal("1E+2")), ("price", Decimal("-0.00")),
        ("lasts", -timedelta(days=400, microseconds=1)), ("several", (1, 1.0, -0.0)), ("table", {-1: [None, Part(5)]}),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)  # fmt: skip
def test_what_comes_back_equal_and_of_its_type_is_recorded(field: str, value: Any) -> None:
    """A whole number where a float is declared, and a time in a zone with rules, are right to every type checker."""
    found = recordable(Typed(**{field: value}), "id", b"{}")
    assert found.event == reader(Typed, 1)(found.new.data)
    assert getattr(found.event, field) == value or isinstance(value, datetime)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.dates()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner), max_leaves=6
)


@given(values)
def test_whatever_is_recorded_comes_back_the_same(value: object) -> None:
    """Of any value: it is refused, or what is folded now is what will be folded after a restart, and is what was meant."""
    try:
        found = recordable(Anything(value=value), "id", b"{}")
    except UnrecordableEvent:
        return
    again = reader(Anything, 1)(found.new.data)
    assert difference(again, found.event) == difference(value, again.value) == ""
    assert repr(again) == repr(found.event) == repr(Anything(value=value))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({(1.0,)}, {(1,)}), (frozenset({Part(1)}), frozenset({Part(True)})), ({Size.SMALL: "a"}, {1: "a"}),
        ({(1, True): "a"}, {(1, 1): "a"}), ({"a"}, {"b"}), ({"a": 1}, {"b": 1}),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_in_sets_and_keys_is_compared_all_through(one: Any, other: Any) -> None:
    """Equal elements with parts of other types are not the same."""
    assert difference(one, other) != ""
    assert difference(one, one) == difference(other, other) == ""


def test_a_time_that_follows_the_rules_of_a_zone_never_comes_back() -> None:
    """One with a fixed offset does instead, and is taken for it; but not the other way round: a day later they differ."""
    ruled = datetime(2025, 10, 25, 12, tzinfo=BERLIN)
    fixed = ruled.replace(tzinfo=timezone(timedelta(hours=2)))
    assert difference(ruled, fixed) == difference({ruled}, {fixed}) == difference({ruled: 1}, {fixed: 1}) == ""
    assert "" not in (difference(fixed, ruled), difference({fixed}, {ruled}), difference({fixed: 1}, {ruled: 1}))


def test_tags_are_those_of_what_comes_back() -> None:
    """They are made of the value that everybody will read."""
    assert recordable(Anything(box="b"), "id", b"{}").new.tags == ("box:b",)


def test_what_is_no_event_is_refused() -> None:
    """A command, say, by a slip."""

    class Wish(Command):
        pass

    with pytest.raises(UnrecordableEvent, match="is no event"):
        recordable(Wish(), "id", b"{}")  # type: ignore[arg-type]


def test_a_foreign_event_is_recorded_as_it_came() -> None:
    """Every field of it, also those that the own class does not read; one that does not fit says why, and names nobody."""
    data = b'{"box":"b","value":1,"more":[1]}'
    found = foreign_event(Heard, 3, data, "id", b"{}")
    assert (found.new.data, found.new.version, found.new.tags, found.misfit) == (data, 3, ("box:b",), "")
    wrong = foreign_event(Typed, 1, b'{"number":"five"}', "id", b"{}")
    assert wrong.new.tags == ()
    assert "Expected `int`" in wrong.misfit
    assert wrong.digest != found.digest


# What an id stands for.


class Pay(Command):
    account: BoxId
    amount: int = 1
    tags: list[str] = []


class PayLater(Command, name="Pay"):
    """The same command after a deployment: with another order of fields, and one more."""

    amount: int = 1
    tags: list[str] = []
    account: BoxId
    reason: str | None = None


def test_the_digest_of_a_command_is_that_of_its_name_and_fields() -> None:
    """Every difference in content is one in the digest."""
    contents = [Pay(account="a"), Pay(account="b"), Pay(account="a", amount=2), Pay(account="a", tags=["x"])]
    digests = [content_digest(each) for each in contents]
    assert len(set(digests)) == len(digests)
    assert content_digest(Pay(account="a", amount=1, tags=[])) == digests[0]


class Loose(Command):
    value: Any = 0
    flags: tuple[int | bool, ...] = (1,)
    price: Decimal = Decimal("1.0")
    rate: float = 0.0


@pytest.mark.parametrize(
    "changed",
    [
        Loose(value=False), Loose(value=0.0), Loose(flags=(True,)), Loose(price=Decimal("1.00")), Loose(rate=-0.0),
    ],
    ids=repr,
)  # fmt: skip
def test_what_equals_a_default_and_is_written_otherwise_is_another_content(changed: Loose) -> None:
    """``False == 0``, and who sends the one after the other under one id is told that it was not done."""
    assert content_digest(changed) != content_digest(Loose())


def test_a_command_is_the_same_one_after_a_field_has_another_name_in_the_code() -> None:
    """What counts is its name in JSON, which is what clients send."""

    class Hire(Command):
        person: str

    class HireNow(Command, name="Hire"):
        somebody: str = msgspec.field(name="person")

    assert content_digest(HireNow(somebody="ann")) == content_digest(Hire(person="ann"))


def test_a_command_is_the_same_one_after_a_field_with_a_default_was_added() -> None:
    """So a client that sends it again during a deployment gets its receipt, whichever version has taken it first."""
    assert content_digest(PayLater(account="a")) == content_digest(Pay(account="a"))
    assert content_digest(PayLater(account="a", reason="x")) != content_digest(Pay(account="a"))


def test_the_order_within_sets_and_objects_is_no_content() -> None:
    """They have none: two processes may list a set differently."""

    class Send(Command):
        to: set[str]
        extra: dict[str, int]

    one, other = Send(to={"a", "b", "c"}, extra={"x": 1, "y": 2}), Send(to={"c", "b", "a"}, extra={"y": 2, "x": 1})
    assert content_digest(one) == content_digest(other)
