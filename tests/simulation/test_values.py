"""Messages that are made up fit their types, whatever these ask for, and are about few identities."""

import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import msgspec
import pytest

from twofold import Command, Meta, Tag
from twofold.errors import DeclarationError
from twofold.messages import received
from twofold.simulation.chance import Chance
from twofold.simulation.values import Maker

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


class Unknown(Command):
    order: OrderId
    looks: Annotated[str, Meta(pattern="^(?=ahead)")]


def test_what_cannot_be_made_up_is_said() -> None:
    """With the class and the field, as it is the declaration that asks for it."""
    with pytest.raises(DeclarationError, match=r"Unknown.*'looks'"):
        Maker(Chance(1, "values")).message(Unknown)
