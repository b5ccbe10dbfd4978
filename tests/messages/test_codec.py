"""From messages to bytes and back, in every version that an event has had."""

from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import new_class
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.errors import DeclarationError, InvalidMessage
from twofold.messages import Command, Event, Meta, decode, encode, reader, upcast


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Line(msgspec.Struct, frozen=True):
    sku: str
    quantity: int = 1


class Everything(Event, version=2):
    text: str
    whole: int
    real: float
    yes: bool
    raw: bytes
    money: Decimal
    at: datetime
    day: date
    id: UUID
    colour: Colour
    line: Line
    lines: tuple[Line, ...]
    counts: dict[int, str]
    words: frozenset[str]
    maybe: Decimal | None

    @upcast(1)
    def nothing_but_the_version_changed(data: dict[str, Any]) -> dict[str, Any]:
        return data


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
LINES = st.builds(Line, sku=TEXTS, quantity=INTEGERS)
EVERYTHING = st.builds(
    Everything,
    text=TEXTS,
    whole=INTEGERS,
    real=st.floats(allow_nan=False, allow_infinity=False),
    yes=st.booleans(),
    raw=st.binary(max_size=20),
    money=DECIMALS,
    at=st.datetimes(timezones=st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))),
    day=st.dates(),
    id=st.uuids(),
    colour=st.sampled_from(Colour),
    line=LINES,
    lines=st.lists(LINES, max_size=3).map(tuple),
    counts=st.dictionaries(INTEGERS, TEXTS, max_size=3),
    words=st.frozensets(TEXTS, max_size=3),
    maybe=st.none() | DECIMALS,
)


@given(EVERYTHING)
def test_what_is_written_is_read_as_it_was(event: Everything) -> None:
    """No value of any kind of field is changed by being kept, money and moments included."""
    assert reader(Everything, 2)(encode(event)) == event


@given(EVERYTHING)
def test_data_of_an_old_version_is_read_by_the_same_rules(event: Everything) -> None:
    """An upcast sees plain JSON; what it returns becomes the fields' types just as new data does."""
    assert reader(Everything, 1)(encode(event)) == event


def test_a_message_is_written_the_same_way_each_time() -> None:
    """Fields in the order of their declaration, without spaces: equal messages have equal bytes."""

    class Moved(Event):
        thing: str
        to: str
        cost: Decimal

    assert encode(Moved(to="b", cost=Decimal("1.10"), thing="a")) == b'{"thing":"a","to":"b","cost":"1.10"}'


class Withdraw(Command):
    account: str
    amount: Annotated[int, Meta(gt=0)]
    extra: Any = None


@given(st.binary(max_size=60))
def test_bytes_from_outside_are_a_message_or_an_invalid_one(data: bytes) -> None:
    """Nothing that anybody sends causes another error than the one that is for it."""
    with suppress(InvalidMessage):
        assert decode(Withdraw, data).amount > 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"account":"ann"}', "missing required field `amount`"),
        (b'{"account":"ann","amount":"5"}', r"`\$\.amount`"),
        (b'{"account":"ann","amount":0}', r"`\$\.amount`"),
        (b'{"account":"ann","amount":5,"ammount":6}', "unknown field `ammount`"),
        (b'{"account":"\xff","amount":5}', "(?i:utf-8)"),
        (b'{"account":"ann","amount":5,"extra":' + b"[" * 100_000, "recursion"),
        (b"[]", "Expected `object`, got `array`"),
        (b"", "truncated"),
    ],
)
def test_what_does_not_fit_is_named(data: bytes, said: str) -> None:
    """Whoever sent it learns which field is wrong, whatever is wrong with it."""
    with pytest.raises(InvalidMessage, match=f"^Withdraw: .*{said}"):
        decode(Withdraw, data)


# Versions.


class Priced(Event, version=4):
    sku: str
    cents: int
    currency: str
    country: str

    @upcast(1)
    def whole_units_became_cents(data: dict[str, Any]) -> dict[str, Any]:
        return {"sku": data["sku"], "cents": data["amount"] * 100}

    @upcast(3)
    def a_country_came(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "country": "GB" if data["currency"] == "GBP" else "DE"}

    @upcast(2)
    def a_currency_came(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "currency": "GBP"}


SHAPES: dict[int, dict[str, Any]] = {
    1: {"sku": "lamp", "amount": 5},
    2: {"sku": "lamp", "cents": 500},
    3: {"sku": "lamp", "cents": 500, "currency": "GBP"},
    4: {"sku": "lamp", "cents": 500, "currency": "GBP", "country": "GB"},
}


@pytest.mark.parametrize("version", SHAPES)
def test_every_version_is_read_as_the_newest(version: int) -> None:
    """Steps are taken in the order of versions, whichever way they stand in the class."""
    assert reader(Priced, version)(encode(SHAPES[version])) == Priced(
        sku="lamp", cents=500, currency="GBP", country="GB"
    )


def chained(versions: int) -> type[Event]:
    """Return an event of which each version appends its number to a list."""

    def body(namespace: dict[str, Any]) -> None:
        namespace["__annotations__"] = {"seen": list[int]}
        for number in range(1, versions):
            namespace[f"step_{number}"] = upcast(number)(appending(number))

    return new_class("Grown", (Event,), {"version": versions}, body)


def appending(number: int) -> Any:
    def step(data: dict[str, Any]) -> dict[str, Any]:
        return {"seen": [*data["seen"], number]}

    return step


@given(st.integers(1, 8).flatmap(lambda newest: st.tuples(st.just(newest), st.integers(1, newest))))
def test_a_chain_of_upcasts_takes_each_step_once(versions: tuple[int, int]) -> None:
    """From any version to any later one, every step between them is taken, and no other."""
    newest, stored = versions
    assert encode(reader(chained(newest), stored)(b'{"seen":[]}')) == encode({"seen": list(range(stored, newest))})


def test_a_missing_step_is_said_with_what_to_write() -> None:
    """It is found as soon as somebody wants to read that version, and not by the first event that has it."""

    class Renamed(Event, version=3):
        name: str

        @upcast(1)
        def unchanged(data: dict[str, Any]) -> dict[str, Any]:
            return data

    with pytest.raises(DeclarationError, match=r"Renamed is version 3 and has no @upcast\(2\)"):
        reader(Renamed, 1)


def test_an_upcast_that_fails_says_which() -> None:
    """What is stored does not fit what the step expects; whoever reads then knows the position, too."""
    with pytest.raises(msgspec.ValidationError, match=r"whole_units_became_cents fails .* KeyError\('amount'\)"):
        reader(Priced, 1)(b'{"sku":"lamp"}')


def test_an_own_event_of_a_newer_version_needs_the_newer_code() -> None:
    """Old code does not guess at what newer code wrote."""
    with pytest.raises(DeclarationError, match="holds version 5: newer code has written it"):
        reader(Priced, 5)


def test_an_event_of_another_service_may_be_newer_and_have_more_fields() -> None:
    """A subscriber takes what it knows; its publisher need not ask it before it changes."""

    class Sold(Event, name="InvoiceIssued", source="sales"):
        country: str

    assert reader(Sold, 7)(b'{"number":536365,"country":"France"}') == Sold(country="France")
