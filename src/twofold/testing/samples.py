"""Views and rows with which databases are tried out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated
from uuid import UUID

import msgspec

from twofold.messages import Tag
from twofold.views import Index, View

ODD_KEYS = ("", "o'brien", 'a"b', "50%", "a\\b", "a\nb", "Ärger 🙂", "%s", "$1", "?", ":name", "x" * 500)


class Colour(Enum):
    """Stored by its value."""

    RED = "red"
    GREEN = "green"


class Line(msgspec.Struct, frozen=True):
    """A struct within a row."""

    sku: str
    quantity: int = 1


class Count(View, key=Annotated[str, Tag("sku")]):
    """The least that a view is, with an index."""

    number: Annotated[int, Index] = 0


class OnlyKey(View, key=Annotated[int, Tag("number")]):
    """A set of keys."""


class Reserved(View, key=Annotated[str, Tag("word")]):
    """Fields may be called as SQL's own words are."""

    order: int = 0
    group: Annotated[str, Index] = ""
    select: bool = False


class Everything(View, key=Annotated[UUID, Tag("thing")]):
    """A field of every kind."""

    text: str = ""
    whole: int = 0
    real: float = 0.0
    yes: bool = False
    money: Decimal = Decimal(0)
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    local: datetime = datetime(2026, 1, 1)  # noqa: DTZ001
    day: date = date(2026, 1, 1)
    hour: time = time(12)
    id: UUID = UUID(int=0)
    colour: Colour = Colour.RED
    line: Line = Line(sku="lamp")
    lines: tuple[Line, ...] = ()
    words: list[str] = []
    counts: dict[str, int] = {}
    either: int | str = 0
    maybe_text: str | None = None
    maybe_whole: Annotated[int | None, Index] = None
    maybe_real: float | None = None
    maybe_yes: bool | None = None
    maybe_money: Decimal | None = None
    maybe_at: datetime | None = None
    maybe_line: Line | None = None


EVERYTHING = [
    Everything(key=UUID(int=1)),
    Everything(
        key=UUID(int=2**128 - 1),
        text="Ärger 🙂 'quoted' \"twice\" \\ \n\t % $1 ? :x",
        whole=2**63 - 1,
        real=-1.5e300,
        yes=True,
        money=Decimal("12345678901234567890.123456789"),
        at=datetime(2026, 3, 29, 1, 2, 3, 456789, tzinfo=UTC),
        local=datetime(1970, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001
        day=date(9999, 12, 31),
        hour=time(23, 59, 59, 999999),
        id=UUID(int=7),
        colour=Colour.GREEN,
        line=Line(sku="o'brien", quantity=-3),
        lines=(Line(sku="a"), Line(sku="a"), Line(sku="Ä", quantity=0)),
        words=["", "one", 'tw"o'],
        counts={"": 1, "b": 2**63 - 1},
        either="5",
        maybe_text="",
        maybe_whole=0,
        maybe_real=0.0,
        maybe_yes=False,
        maybe_money=Decimal("0.10"),
        maybe_at=datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        maybe_line=Line(sku=""),
    ),
    Everything(key=UUID(int=3), whole=-(2**63), real=5e-324, money=Decimal("-0.00"), either=5, maybe_yes=True),
]
