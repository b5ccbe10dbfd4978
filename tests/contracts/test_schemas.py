"""Schemas say what JSON has of a type: as it is written, and as it is read."""

import enum
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest

from tests.contracts.asyncapi import SCHEMA
from tests.http.message_shapes import Make
from twofold import Event, Meta
from twofold.contracts.schemas import read, written
from twofold.messages import encode


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


@dataclass
class Place:
    shelf: str
    row: int = 0


class Spot(NamedTuple):
    x: int
    y: int = 0


class Note(TypedDict):
    text: str
    author: NotRequired[str]


class Pair(msgspec.Struct, array_like=True):
    first: int
    second: datetime | None = None


class Card(msgspec.Struct, tag=True):
    number: str


class Cash(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    coins: int = 0


class Everything(Event, rename="camel"):
    some_day: date
    any_moment: datetime
    aware: Annotated[datetime, Meta(tz=True)]
    naive: Annotated[datetime, Meta(tz=False)]
    clock: time
    price: Decimal
    place: Place
    spot: Spot
    note: Note
    pair: Pair
    paid: Card | Cash | None
    by_size: dict[Size, int]
    by_day: dict[date, int]
    by_id: dict[UUID, Literal["a", "b"]]
    by_number: dict[int, Colour]
    both: tuple[int, str]
    mixed: list[int | datetime | None]
    left_out: int | msgspec.UnsetType = msgspec.UNSET
    default: "Everything | None" = None


NOON = datetime.fromisoformat("2030-01-31T12:00:00")
EVERYTHING = Everything(
    some_day=date(2030, 1, 31), any_moment=NOON, aware=datetime.fromisoformat("2030-01-31T12:00:00Z"),
    naive=NOON, clock=time(12), price=Decimal("1.50"), place=Place("A"), spot=Spot(1), note={"text": "x"},
    pair=Pair(1), paid=Cash(), by_size={Size.LARGE: 1}, by_day={date(2030, 1, 31): 1}, by_id={UUID(int=7): "a"},
    by_number={-7: Colour.RED}, both=(1, "x"), mixed=[1, NOON, None],
)  # fmt: skip


def validator(kind: type, *, is_written: bool) -> jsonschema_rs.Draft7Validator:
    (schema,), components = (written if is_written else read)([kind], "here.")
    document = {**schema, "components": {"schemas": components}}
    for each in components.values():
        assert jsonschema_rs.Draft7Validator(SCHEMA).is_valid(each)
    return jsonschema_rs.Draft7Validator(document, validate_formats=True)


@pytest.mark.parametrize("is_written", [True, False])
def test_what_is_written_is_as_its_schema_says(is_written: bool) -> None:
    """Whatever it is made of; and what is written is read."""
    assert [*validator(Everything, is_written=is_written).iter_errors(msgspec.json.decode(encode(EVERYTHING)))] == []


def fields(kind: type, name: str, *, is_written: bool) -> dict[str, Any]:
    found: dict[str, Any] = (written if is_written else read)([kind], "")[1][name]
    return found


def test_all_fields_are_written_and_those_without_a_default_are_required_to_be_read() -> None:
    """But for what may be left out in what is written, too. Names are those that JSON has."""
    was, is_read = (fields(Everything, "Everything", is_written=each) for each in (True, False))
    assert set(was["properties"]) - set(was["required"]) == {"leftOut"}
    assert set(is_read["properties"]) - set(is_read["required"]) == {"leftOut", "default"}
    assert fields(Everything, "Place", is_written=True)["required"] == ["shelf", "row"]
    assert fields(Everything, "Note", is_written=True)["required"] == ["text"]
    assert fields(Everything, "Pair", is_written=True)["minItems"] == 2
    assert fields(Everything, "Pair", is_written=False)["minItems"] == 1


def test_moments_and_decimals_are_told_from_other_texts() -> None:
    """In a time zone or not; and a decimal that is read may be a number."""
    was = fields(Everything, "Everything", is_written=True)["properties"]
    assert was["aware"]["format"] == "date-time"
    assert was["naive"]["format"] == "date-time-local"
    assert [each["format"] for each in was["anyMoment"]["anyOf"]] == ["date-time", "date-time-local"]
    assert [each["format"] for each in was["clock"]["anyOf"]] == ["time", "partial-time"]
    assert was["price"]["type"] == "string"
    assert fields(Everything, "Everything", is_written=False)["properties"]["price"]["type"] == ["string", "number"]


def test_keys_of_dictionaries_are_described() -> None:
    """They are text in JSON, and not any text."""
    was = fields(Everything, "Everything", is_written=True)["properties"]
    names = {name: was[name]["propertyNames"] for name in ("bySize", "byDay", "byId", "byNumber")}
    assert names == {
        "bySize": {"enum": ["3"]},
        "byDay": {"format": "date"},
        "byId": {"format": "uuid"},
        "byNumber": {"pattern": "^-?[0-9]+$"},
    }


def test_who_reads_what_is_written_may_ignore_what_is_new() -> None:
    """What a class itself refuses is said of what it reads."""
    assert "additionalProperties" not in fields(Everything, "Cash", is_written=True)
    assert fields(Everything, "Cash", is_written=False)["additionalProperties"] is False
    assert fields(Make, "Make", is_written=False)["additionalProperties"] is False
