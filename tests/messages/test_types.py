"""A field's type can be said in JSON, or is refused by name where its class is declared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import new_class
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel

from twofold import Command, Event, Meta
from twofold.errors import DeclarationError
from twofold.messages import check_fields, decoder, encode, type_flaw

T = TypeVar("T")


class Plain:
    """A class that nobody can write as JSON."""


class Model(BaseModel):
    n: int


class Cell(msgspec.Struct, Generic[T], frozen=True):
    item: T


class Mutable(msgspec.Struct):
    n: int


class Tree(msgspec.Struct, frozen=True):
    branches: "tuple[Tree, ...]" = ()


class Cat(msgspec.Struct, frozen=True, tag=True):
    n: int = 0


class Dog(msgspec.Struct, frozen=True, tag=True):
    n: int = 0


class Colour(Enum):
    RED = "red"


class Points(Enum):
    ORIGIN = (0, 0)


@dataclass(frozen=True)
class Address:
    street: str
    lines: tuple[str, ...] = field(default=())


@dataclass
class Machine:
    valve: Plain


class Named(TypedDict):
    name: str


class Pair(NamedTuple):
    left: int
    right: int = 0


Money = NewType("Money", int)

REFUSED: list[tuple[Any, str]] = [
    (Plain, "Plain cannot be said in JSON"),
    (object, "object cannot be said in JSON"),
    (complex, "complex cannot be said in JSON"),
    (Model, "Model cannot be said in JSON.*msgspec.Struct, a dataclass"),
    (list[Model], "Model cannot be said in JSON"),
    (Callable[[int], int], "Callable cannot be said in JSON"),
    (Iterator[int], "Iterator cannot be said in JSON"),
    (type[int], "type cannot be said in JSON"),
    (Machine, "valve of Machine: Plain cannot be said"),
    (Cell[Plain], "item of Cell: Plain cannot be said"),
    (msgspec.msgpack.Ext, "Ext cannot be said"),
    (date | datetime, "more than one str-like"),
    (str | UUID, "more than one str-like"),
    (Mutable | Tree, "all Struct types must be tagged"),
    (list[int] | set[int], "more than one array-like"),
    (Points, "all str or all int"),
    (Annotated[str, Meta(gt=0)], "Can only set `gt` on a numeric type"),
    (dict[tuple[int, int], int], "a dict's keys are text"),
    (dict[Tree, int], "a dict's keys are text"),
    (dict[bool, int], "a dict's keys are text"),
    (set[list[int]], "elements have to be hashable"),
    (frozenset[dict[str, int]], "elements have to be hashable"),
    (set[Mutable], "elements have to be hashable.*frozen=True"),
]

VALUES: list[tuple[Any, Any]] = [
    (Any, {"a": [1, None]}),
    (Cell[int], Cell(1)),
    (Tree, Tree((Tree(),))),
    (Cat | Dog | None, Dog(1)),
    (Colour, Colour.RED),
    (Address, Address("a", ("b",))),
    (Named, {"name": "a"}),
    (Pair, Pair(1, 2)),
    (Money, Money(5)),
    (Literal["a", 1], 1),
    (dict[date, Decimal], {date(2020, 1, 1): Decimal("1.50")}),
    (dict[Colour, int], {Colour.RED: 1}),
    (dict[int, list[float]], {1: [0.5]}),
    (Mapping[str, Sequence[int]], {"a": [1]}),
    (frozenset[tuple[int, int]], frozenset({(1, 2)})),
    (set[Tree], {Tree()}),
    (tuple[int, str], (1, "a")),
    (timedelta, timedelta(days=1)),
    (bytes, b"a"),
    (int | float | None, 1.5),
    (msgspec.Raw, msgspec.Raw(b"1")),
]


@pytest.mark.parametrize(("kind", "says"), REFUSED, ids=[repr(kind) for kind, _ in REFUSED])
def test_what_json_has_no_word_for_is_no_field(kind: Any, says: str) -> None:
    """The text names the class with its line, the field, what is wrong with it and what would do."""
    message = new_class("Fill", (Command,), {}, lambda body: body.update(__annotations__={"n": int, "what": kind}))
    with pytest.raises(DeclarationError, match=rf"(?s)Fill.*: its field 'what': .*{says}"):
        check_fields(message)


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[repr(kind) for kind, _ in VALUES])
def test_what_json_has_a_word_for_comes_back(kind: Any, value: Any) -> None:
    """A type that is taken can be written, and is read as what it was."""
    assert not type_flaw(kind)
    read = decoder(kind).decode(encode(value))
    assert read == value
    assert type(read) is type(value)


class Wrong(Event):
    size: int = None  # type: ignore[assignment]


class Unlisted(Event):
    sizes: tuple[int, ...] = []  # type: ignore[assignment]


class Unmet(Command):
    amount: Annotated[int, Meta(gt=0)] = 0


class Coloured(Event):
    colour: Colour = "red"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Wrong, r"Wrong \(.*test_types\.py:\d+\): its field 'size': its default None does not fit.*Expected `int`"),
        (Unlisted, r"Unlisted \(.*:\d+\): its field 'sizes': its default \[\] is not of its type"),
        (Unmet, r"Unmet \(.*:\d+\): its field 'amount': its default 0 does not fit its type: Expected `int` >= 1"),
        (Coloured, r"Coloured \(.*:\d+\): its field 'colour': its default 'red' is not of its type"),
    ],
)
def test_a_default_is_a_value_of_its_field(message: type, says: str) -> None:
    """What is left out would otherwise be what nobody could have sent, and the log could not give back."""
    with pytest.raises(DeclarationError, match=f"(?s){says}"):
        check_fields(message)


class Various(Event):
    price: Decimal = Decimal("1.50")
    ratio: float = 0
    least: float = float("inf")
    none: float = float("nan")
    colour: Colour = Colour.RED
    tree: Tree = Tree()
    tags: frozenset[str] = frozenset()
    lines: list[str] = []
    by_name: dict[str, int] = {}
    since: date = date(2020, 1, 1)
    left_out: int | msgspec.UnsetType = msgspec.UNSET
    made: list[int] = msgspec.field(default_factory=lambda: [1])


def test_a_default_of_any_kind_may_be_one() -> None:
    """Numbers, enums, structs, empty collections, what is made anew each time, and what is left out."""
    check_fields(Various)
