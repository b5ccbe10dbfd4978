"""What the body or the head of a class says and cannot mean is found while the class is made."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self, cast

import msgspec
import pytest

from twofold import Aggregate, Command, Event, Query, Tag, View, evolve, replace
from twofold.errors import DeclarationError
from twofold.messages import reader, upcast

BoxId = Annotated[str, Tag("box")]


class Filled(Event):
    box: BoxId
    units: int = 0


def no_annotation() -> None:
    class Fill(Command):
        box: BoxId
        units = 1


def no_annotation_in_a_state() -> None:
    class Box(Aggregate, key=BoxId):
        units = 0


def no_annotation_in_a_view() -> None:
    class Shelf(View, key=BoxId):
        boxes = msgspec.field(default=0)


def no_annotation_in_a_query() -> None:
    class Boxes(Query[int]):
        least = 1


def a_default_of_a_base() -> None:
    class Refilled(Filled):
        units = 5


def a_method_over_a_field() -> None:
    class Refilled(Filled):
        def units(self) -> int:  # type: ignore[misc, override]
            return 5


def a_field_and_a_method() -> None:
    class Box(Aggregate, key=BoxId):
        filled: bool = False

        @evolve  # type: ignore[no-redef]
        def filled(self, event: Filled) -> Self:  # noqa: F811
            return self


def a_field_over_a_method() -> None:
    class Box(Aggregate, key=BoxId):
        @evolve
        def filled(self, event: Filled) -> Self:
            return self

    class Red(Box, key=BoxId):
        filled: bool = False  # type: ignore[assignment]


def a_key_of_its_own() -> None:
    class Box(Aggregate, key=BoxId):
        key: str


def a_field_named_like_ours() -> None:
    class Emptied(Event):
        box: BoxId
        message_name: str


def an_option_as_a_field() -> None:
    class Box(Aggregate, key=BoxId):
        snapshot_every: int = 5  # type: ignore[misc]


def a_mutable_default() -> None:
    class Emptied(Event):
        units: list[int] = [1]


def not_frozen() -> None:
    class Emptied(Event, frozen=False):  # type: ignore[misc]
        box: BoxId


def not_compared() -> None:
    class Box(Aggregate, key=BoxId, eq=False):
        units: int = 0


def a_step_in_an_event() -> None:
    class Emptied(Event):
        @evolve
        def filled(self, event: Filled) -> Self:
            return self


def no_name(name: Any) -> Callable[[], None]:
    def declare() -> None:
        class Emptied(Event, name=name):
            box: BoxId

    return declare


def no_source() -> None:
    class Emptied(Event, source="The Attic"):
        box: BoxId


def no_version(version: Any) -> Callable[[], None]:
    def declare() -> None:
        class Box(Aggregate, key=BoxId, version=version):
            units: int = 0

    return declare


def an_upcast_of_a_command() -> None:
    class Fill(Command):
        @upcast(1)
        def from_one(data: dict[str, Any]) -> dict[str, Any]:
            return data


def an_upcast_too_far() -> None:
    class Emptied(Event, version=2):
        @upcast(2)
        def from_two(data: dict[str, Any]) -> dict[str, Any]:
            return data


def two_upcasts() -> None:
    class Emptied(Event, version=2):
        @upcast(1)
        def from_one(data: dict[str, Any]) -> dict[str, Any]:
            return data

        @upcast(1)
        def from_one_too(data: dict[str, Any]) -> dict[str, Any]:
            return data


def an_async_upcast() -> None:
    @upcast(1)  # type: ignore[arg-type]
    async def from_one(data: dict[str, Any]) -> dict[str, Any]:
        return data


def an_upcast_of_an_instance() -> None:
    @upcast(1)  # type: ignore[arg-type]
    def from_one(self: Any, data: dict[str, Any]) -> dict[str, Any]:
        return data


def no_version_of_an_upcast() -> None:
    upcast(cast("Any", an_async_upcast))(lambda data: data)


CASES: list[tuple[Callable[[], None], str]] = [
    (no_annotation, r"Fill \(.*test_classes\.py:\d+\): units = 1 has no annotation.*Write units: int = 1.*ClassVar"),
    (no_annotation_in_a_state, r"Box \(.*:\d+\): units = 0 has no annotation"),
    (no_annotation_in_a_view, r"Shelf \(.*:\d+\): boxes = .* has no annotation"),
    (no_annotation_in_a_query, r"Boxes \(.*:\d+\): least = 1 has no annotation"),
    (a_default_of_a_base, r"Refilled \(.*:\d+\): 'units' is a field of its base class.*annotate it"),
    (a_method_over_a_field, r"Refilled \(.*:\d+\): 'units' is a field of its base class"),
    (a_field_and_a_method, r"Box \(.*:\d+\): 'filled' is both a field and a method"),
    (a_field_over_a_method, r"Red \(.*:\d+\): its field 'filled' has the name of something else"),
    (a_key_of_its_own, r"Box \(.*:\d+\): every state has the field 'key'"),
    (a_field_named_like_ours, r"Emptied \(.*:\d+\): its field 'message_name' has the name of something else"),
    (an_option_as_a_field, r"Box \(.*:\d+\): its field 'snapshot_every' has the name of something else"),
    (a_mutable_default, r"Emptied \(.*:\d+\): .*default_factory"),
    (not_frozen, r"Emptied \(.*:\d+\): frozen=False.*Leave it out"),
    (not_compared, r"Box \(.*:\d+\): eq=False.*Leave eq= out"),
    (a_step_in_an_event, r"Emptied \(.*:\d+\): filled has @evolve, and a message does nothing"),
    (no_name(""), r"Emptied \(.*:\d+\): name='' is not a name"),
    (no_name("a/b"), r"name='a/b' is not a name"),
    (no_name("a\0"), r"is not a name: write letters, digits"),
    (no_name("a" * 201), r"is not a name: .* at most 200"),
    (no_name(5), r"name=5 is not a name"),
    (no_source, r"Emptied \(.*:\d+\): source='The Attic' is not the name of a service: .*lower-case"),
    (no_version(0), r"Box \(.*:\d+\): version=0 is not a version"),
    (no_version("2"), r"version='2' is not a version"),
    (no_version(True), r"version=True is not a version"),
    (an_upcast_of_a_command, r"Fill \(.*:\d+\): from_one has @upcast\(1\), and only events"),
    (an_upcast_too_far, r"Emptied \(.*:\d+\): from_two has @upcast\(2\), and the class is version 2"),
    (two_upcasts, r"Emptied \(.*:\d+\): both from_one and from_one_too have @upcast\(1\)"),
    (an_async_upcast, r"from_one \(.*:\d+\): write @upcast\(1\).*plain `def`"),
    (an_upcast_of_an_instance, r"from_one \(.*:\d+\): an upcast takes the fields of the old version"),
    (no_version_of_an_upcast, r"<lambda> \(.*:\d+\): write @upcast\(1\), with the version"),
]


@pytest.mark.parametrize(("declare", "says"), CASES, ids=[says for _, says in CASES])
def test_a_class_that_cannot_mean_what_it_says_is_not_made(declare: Callable[[], None], says: str) -> None:
    """The text names the class or function with its line, and what to write."""
    with pytest.raises(DeclarationError, match=f"(?s){says}"):
        declare()


def test_what_is_no_field_may_be_in_a_class() -> None:
    """Constants, methods, properties and classes are no fields, and nobody takes them for such."""

    class Emptied(Filled, version=2):
        LIMIT = 5
        currency: ClassVar[str] = "EUR"

        class Reason(msgspec.Struct):
            text: str

        @property
        def twice(self) -> int:
            return 2 * self.units

        @classmethod
        def of(cls, box: str) -> Self:
            return cls(box=box)

        @upcast(1)
        def from_one(data: dict[str, Any], unit: int = 1) -> dict[str, Any]:
            return {**data, "units": unit}

    class Box(Aggregate, key=BoxId):
        snapshot_every = 10
        units: int = 0

        @evolve
        def emptied(self, event: Emptied) -> Self:
            return replace(self, units=event.units)

    assert Emptied.of("a").twice == 0
    assert reader(Emptied, 1)(b'{"box":"a"}').units == 1
    assert Box.snapshot_every == 10
