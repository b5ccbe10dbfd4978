"""Messages that are made up fit their types, whatever these ask for, and are about few identities."""

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest

from twofold import Command, Meta, Tag
from twofold.errors import DeclarationError
from twofold.messages import received
from twofold.simulation.chance import Chance
from twofold.simulation.values import Maker

T = TypeVar("T")
OrderId = Annotated[str, Tag("order")]
ItemId = Annotated[int, Tag("item"), Meta(ge=100)]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(msgspec.Struct, frozen=True):
    item: ItemId
    units: Annotated[int, Meta(gt=0, le=3)]


class Everything(Command):
    order: OrderId
    code: Annotated[str, Meta(pattern=r"^[A-Z]{2}-\d{3}(x|yz)?$")]
    name: Annotated[str, Meta(min_length=2, max_length=5)]
    even: Annotated[int, Meta(multiple_of=2)]
    negative: Annotated[int, Meta(lt=0)]
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=2)]
    how: Literal["fast", "slow"]
    colour: Colour
    price: Decimal
    at: Annotated[dt.datetime, Meta(tz=True)]
    day: dt.date
    for_: dt.timedelta
    id: UUID
    ratio: float
    notes: dict[str, list[int]]
    maybe: int | None = None


@pytest.mark.parametrize("seed", range(30))
def test_what_is_made_up_fits_its_type(seed: int) -> None:
    """It is received as whatever comes from outside: each constraint holds."""
    made = Maker(Chance(seed, "values")).message(Everything)
    assert received(made) == made


def test_there_are_few_identities() -> None:
    """So that commands meet each other, also where one of them names it deep within."""
    maker = Maker(Chance(1, "values"), identities=3)
    made = [maker.message(Everything) for _ in range(50)]
    assert len({each.order for each in made}) == 3
    assert len({line.item for each in made for line in each.lines}) <= 3


class Short(msgspec.Struct, frozen=True, tag=True):
    text: Annotated[str, Meta(max_length=3)]


class Tree(msgspec.Struct, frozen=True, tag=True):
    children: "tuple[Tree, ...]"
    other: "Tree | Short | None" = None


class Box(msgspec.Struct, Generic[T], frozen=True):
    value: T


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: Annotated[int, Meta(gt=0)] = 1


class Pair(NamedTuple):
    first: int
    second: Short


class Options(TypedDict):
    colour: Colour
    size: NotRequired[int]


@pytest.mark.parametrize(
    "hint",
    [
        Annotated[float, Meta(gt=0, lt=1)], Annotated[float, Meta(ge=-2.5, le=-0.5)], Annotated[float, Meta(gt=0.5, lt=0.75)],
        Annotated[float, Meta(multiple_of=0.5)], Annotated[float, Meta(gt=0, multiple_of=0.01)],
        Annotated[float, Meta(lt=0, multiple_of=0.25)], Annotated[int, Meta(multiple_of=100, gt=0, le=1000)],
        Annotated[int, Meta(multiple_of=10, lt=0)], Annotated[int, Meta(ge=-1000, le=-990)], Annotated[int, Meta(ge=2**62)],
        Annotated[set[int], Meta(min_length=3)], Annotated[frozenset[Colour], Meta(min_length=1, max_length=1)],
        Annotated[dict[str, int], Meta(min_length=2)], Annotated[set[OrderId], Meta(min_length=3)], dict[OrderId, Short],
        Annotated[str, Meta(pattern="^[a-z]+$", min_length=3, max_length=5)],
        Annotated[str, Meta(pattern="^[a-z ]+$", min_length=30)],
        Annotated[str, Meta(pattern=r"^\S+@\S+\.\S+$")], Annotated[str, Meta(pattern=r"^(?P<x>a|b)[^c]\W*?$")],
        Annotated[bytes, Meta(min_length=3, max_length=4)], Annotated[bytes, Meta(max_length=1)],
        Annotated[dt.datetime, Meta(tz=False)], Annotated[dt.time, Meta(tz=True)],
        Annotated[int, {"unit": "m"}],
        int | str, Short | Tree, Short | None, Tree, Box[int], list[Box[Short]], Box[list[Colour]], Point, Pair,
        Options, Any, list, dict,
        Annotated[UUID, Tag("id")], Annotated[Colour, Tag("colour")], Annotated[Literal["x", "y"], Tag("kind")],
        Annotated[str, Tag("code"), Meta(pattern="^[A-Z]{2}$")], Annotated[str, Tag("short"), Meta(max_length=3)],
    ],
    ids=str,
)  # fmt: skip
def test_values_of_all_types_and_bounds_are_made_up(hint: Any) -> None:
    """None that its type does not allow, none that recurs for ever, and not always the same."""
    made_of: Any = type("Made", (Command,), {"__annotations__": {"value": hint}})
    made = [Maker(Chance(seed, "values")).message(made_of) for seed in range(60)]
    assert [received(each) for each in made] == made
    assert len({repr(each) for each in made}) > 1


class Ask(Command):
    order: str
    item: str
    maybe: str | None


def test_a_field_called_after_an_identity_is_one_where_its_type_is_that() -> None:
    """A query asks for an order by a plain text; what is called so and is of another type, or bounded, is itself."""
    maker = Maker(Chance(1, "values"), named={"order": OrderId, "item": ItemId, "maybe": OrderId})
    made = [maker.message(Ask) for _ in range(20)]
    assert all(each.order.startswith("order-") for each in made)
    assert all((each.maybe or "order-").startswith("order-") for each in made)
    assert not any(each.item.startswith("item-") for each in made)
    assert all(received(each) == each for each in made)


class Unknown(Command):
    order: OrderId
    looks: Annotated[str, Meta(pattern="^(?=ahead)")]


def test_what_cannot_be_made_up_is_said() -> None:
    """With the class and the field, as it is the declaration that asks for it."""
    with pytest.raises(DeclarationError, match=r"Unknown.*'looks'"):
        Maker(Chance(1, "values")).message(Unknown)
