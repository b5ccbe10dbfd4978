"""Identities: one text for each, by which everything agrees on which two are the same."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import new_class
from typing import Annotated, Any, Literal, NewType, Self
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from twofold import Aggregate, Event, Service, Tag, View, evolve
from twofold.errors import DeclarationError, InvalidMessage
from twofold.messages import Message, decoder, encode, identity_type, tag_fields, tag_of, tagger
from twofold.messages.identity import LONGEST_IDENTITY, identity_text


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Size(StrEnum):
    SMALL = "small"
    TALL = "tall"


class Level(IntEnum):
    LOW = 1
    HIGH = 10


class Ranked(Enum):
    FIRST = 1
    SECOND = 2


class Mixed(Enum):
    NUMBER = 1
    TEXT = "1"


Name = NewType("Name", str)
Sku = TypeAliasType("Sku", Annotated[str, Tag("sku")])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-(2**63), 2**63 - 1),
    UUID: st.uuids(),
    date: st.dates(),
    Colour: st.sampled_from(Colour),
    Size: st.sampled_from(Size),
    Level: st.sampled_from(Level),
    Ranked: st.sampled_from(Ranked),
    Name: TEXTS,
    Literal["a", "b"]: st.sampled_from(["a", "b"]),
    Literal[1, 2]: st.sampled_from([1, 2]),
}


def message_of(annotation: Any, base: type[Message] = Event) -> Any:
    """Return a message with one field of a type."""
    return new_class(
        "Named", (base,), {}, lambda body: body.update(__annotations__={"field": annotation}, __module__=__name__)
    )


def keyed_by(key: Any) -> Any:
    """Return a view with a key."""
    return new_class("Account", (View,), {"key": key}, lambda body: body.update(__module__=__name__))


@pytest.mark.parametrize("kind", VALUES, ids=str)
def test_two_identities_are_equal_where_their_texts_are(kind: Any) -> None:
    """And an identity that was written as JSON has the same text when it has been read, and is of the same class."""

    @given(VALUES[kind], VALUES[kind])
    def holds(one: Any, other: Any) -> None:
        assert (one == other) is (identity_text(one) == identity_text(other))
        read = decoder(kind).decode(encode(one))
        assert identity_text(read) == identity_text(one)
        assert type(read) is identity_type(kind, "here")
        named = message_of(Annotated[kind, Tag("it")])
        assert tagger(named)(named(field=one)) == (f"it:{identity_text(one)}",)

    holds()


def test_the_text_of_an_identity_is_what_its_json_says() -> None:
    """An enum goes by its value, a UUID by its digits in lower case, however either was written."""
    assert identity_text(Colour.RED) == identity_text(decoder(Colour).decode(b'"red"')) == "red"
    assert [identity_text(each) for each in (Size.TALL, Level.HIGH, Ranked.SECOND)] == ["tall", "10", "2"]
    for written in (b'"6BA7B8109DAD11D180B400C04FD430C8"', b'"6ba7b810-9dad-11d1-80b4-00c04fd430c8"'):
        assert identity_text(decoder(UUID).decode(written)) == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert identity_text(date(7, 1, 2)) == "0007-01-02"


@pytest.mark.parametrize(
    "value",
    [
        *(True, 1.0, None, b"ann", datetime(2026, 1, 1, tzinfo=UTC), Decimal(1), ("ann",), "a\0b", "\ud800"),
        *(2**63, -(2**63) - 1, 10**5000, "x" * (LONGEST_IDENTITY + 1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_not_everything_could_know_is_no_identity(value: Any) -> None:
    """It is refused before anything has been done about it: no database is asked."""
    with pytest.raises(InvalidMessage, match="no identity"):
        Tag("account").of(value)


def test_a_long_identity_is_one() -> None:
    """Up to a bound, of whatever characters."""
    assert Tag("account").of("🙂" * LONGEST_IDENTITY) == "account:" + "🙂" * LONGEST_IDENTITY


@pytest.mark.parametrize(
    "kind",
    [
        *(bool, float, Decimal, bytes, datetime, time, int | str, tuple[str, int], list[str], Any, Mixed, object),
        *(Literal["a", 1], Literal[True, False], Annotated[float | None, "marks"]),
    ],
    ids=str,
)
def test_a_type_without_such_texts_is_refused_where_it_is_declared(kind: Any) -> None:
    """In a message and as the key of a state; the text says in which field, and what to use instead."""
    with pytest.raises(DeclarationError, match=r"test_identity\.Named\.field is an identity and .*Annotated\[str, Tag"):
        tag_fields(message_of(Annotated[kind, Tag("it")]))
    with pytest.raises(DeclarationError, match=r"test_identity\.Account\(key=…\) is an identity and"):
        keyed_by(Annotated[kind, Tag("it")])


def test_a_key_is_never_left_out() -> None:
    """A state is somebody's."""
    with pytest.raises(DeclarationError, match="is an identity and a"):
        keyed_by(Annotated[str | None, Tag("it")])


AccountId = Annotated[str, Tag("account")]
NUMBER = Annotated[int, Tag("number")]


@pytest.mark.parametrize(
    ("kind", "value", "tags"),
    [
        (AccountId | None, None, ()),
        (Annotated[str | None, Tag("account")], "ann", ("account:ann",)),
        (list[AccountId], ["ann", "bob", "ann"], ("account:ann", "account:bob")),
        (tuple[AccountId, ...] | None, ("ann",), ("account:ann",)),
        (tuple[AccountId, ...] | None, None, ()),
        (frozenset[AccountId], frozenset({"ann"}), ("account:ann",)),
        (dict[AccountId, int], {"ann": 1}, ("account:ann",)),
        (dict[str, AccountId], {"owner": "ann"}, ("account:ann",)),
        (Mapping[NUMBER, AccountId], {7: "ann"}, ("number:7", "account:ann")),
        (dict[str, list[AccountId | None]], {"x": ["ann", None]}, ("account:ann",)),
        (tuple[AccountId, NUMBER, str], ("ann", 7, "bob"), ("account:ann", "number:7")),
        (Annotated[list[AccountId], "marks"], ["ann"], ("account:ann",)),
        (Sku, "lamp", ("sku:lamp",)),
        (list[Sku], ["lamp"], ("sku:lamp",)),
    ],
    ids=str,
)
def test_identities_are_found_in_collections(kind: Any, value: Any, tags: tuple[str, ...]) -> None:
    """Wherever they are, each under the tag that its own type has, and nothing else for one."""
    named = message_of(kind)
    assert tagger(named)(named(field=value)) == tags


def test_one_of_several_identities_is_refused() -> None:
    """Nothing says which of them a text is."""
    for kind in (AccountId | Annotated[int, Tag("number")], list[AccountId | int]):
        with pytest.raises(DeclarationError, match="one of several types"):
            tag_fields(message_of(kind))


def test_another_name_for_an_identity_is_the_identity() -> None:
    """A `type` statement gives one."""
    assert tag_of(Sku) == Tag("sku")
    assert tag_of(Annotated[Sku, "marks"]) == Tag("sku")


class Opened(Event):
    account: AccountId


def test_a_state_and_its_events_have_identities_of_one_type() -> None:
    """Else one history would be that of two states in memory: of 1 and of '1'."""

    class Account(Aggregate, key=Annotated[int, Tag("account")]):
        @evolve
        def opened(self, event: Opened) -> Self:
            return self

    with pytest.raises(DeclarationError, match=r"Opened\.account is of type str.*Account.*'account', is of type int"):
        Service("bank", aggregates=[Account])


def test_a_service_has_one_type_for_a_tag() -> None:
    """Whether it is in events, commands or keys; the text names both places."""
    numbered = message_of(Annotated[int, Tag("account")])

    class Account(Aggregate, key=AccountId):
        @evolve
        def opened(self, event: Opened) -> Self:
            return self

    class Numbered(View, key=Annotated[int, Tag("account")]):
        @evolve
        def named(self, event: numbered) -> Self:  # type: ignore[valid-type]
            return self

    with pytest.raises(
        DeclarationError, match=r"'account' is of type int in Named\.field, and of type str in Opened\.account"
    ):
        Service("bank", aggregates=[Account], views=[Numbered])
