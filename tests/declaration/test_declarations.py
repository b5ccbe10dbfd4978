"""What cannot work is said when it is declared, with the class or function and what to do."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Self, cast

import pytest

from twofold import Aggregate, Command, Event, Query, Service, System, Tag, View, Views, answer, decide, evolve, project
from twofold.errors import DeclarationError
from twofold.messages import reader, upcast
from twofold.views import Transaction

BoxId = Annotated[str, Tag("box")]
LidId = Annotated[str, Tag("lid")]


class Fill(Command):
    box: BoxId


class Swap(Command):
    one: BoxId
    other: BoxId


class Shout(Command):
    text: str


class Filled(Event):
    box: BoxId


class Emptied(Event):
    box: BoxId


class Box(Aggregate, key=BoxId):
    full: bool = False

    @decide
    def fill(self, command: Fill) -> Iterator[Filled]:
        yield Filled(box=command.box)

    @evolve
    def filled(self, event: Filled) -> Self:
        return self


class Shelf(View, key=BoxId):
    @evolve
    def filled(self, event: Filled) -> Self:
        return self


class BoxesOf(Query[list[Shelf]]):
    pass


@decide
def fill_again(command: Fill, box: Box) -> Iterator[Filled]:
    yield Filled(box=command.box)


@decide
def empty(command: Fill, box: Box) -> Iterator[Emptied]:
    yield Emptied(box=command.box)


@decide
def swap(command: Swap, first: Box, second: Box) -> Iterator[Filled]:
    yield Filled(box=command.one)


@decide
def shout(command: Shout, box: Box) -> Iterator[Filled]:
    yield Filled(box="a")


@decide
def vague(command: Fill, box: Box):  # type: ignore[no-untyped-def]  # noqa: ANN201
    yield Filled(box=command.box)


@decide
def odd(command: Fill, box: int) -> Iterator[Filled]:
    yield Filled(box=command.box)


def unmarked(command: Fill, box: Box) -> Iterator[Filled]:
    yield Filled(box=command.box)


@answer
async def all_boxes(query: BoxesOf, views: Views) -> list[Shelf]:
    return []


@answer
async def wrong_boxes(query: BoxesOf, views: Views) -> list[Box]:
    return []


@project(Shelf)
async def shelving(event: Filled, rows: Transaction) -> None:
    pass


class FilledElsewhere(Event, name="Filled", source="attic"):
    box: BoxId


class Nameless(Event):
    box: BoxId


def other_box() -> type[Aggregate]:
    class Box(Aggregate, key=BoxId):
        @evolve
        def filled(self, event: Filled) -> Self:
            return self

    return Box


def same_name() -> type[Event]:
    class Filled(Event):
        box: BoxId

    return Filled


class OtherShelf(View, key=BoxId):
    @evolve
    def filled(self, event: FilledElsewhere) -> Self:
        return self


class NoEvents(View, key=BoxId):
    count: int = 0


class NoKey(View):
    @evolve
    def filled(self, event: Filled) -> Self:
        return self


class NoDefault(Aggregate, key=BoxId):
    size: int

    @evolve
    def filled(self, event: Filled) -> Self:
        return self


class TwoSteps(Aggregate, key=BoxId):
    @evolve
    def filled(self, event: Filled) -> Self:
        return self

    @evolve
    def filled_again(self, event: Filled) -> Self:
        return self


class NotAnnotated(Aggregate, key=BoxId):
    @evolve
    def filled(self, event) -> Self:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return self


class Unnamed(Event):
    """An event that names no box."""

    lid: LidId


class NeverReached(View, key=BoxId):
    @evolve
    def unnamed(self, event: Unnamed) -> Self:
        return self


class AnyEvent(View, key=BoxId):
    @evolve
    def any(self, event: Event) -> Self:
        return self


class Unpromising(Query):  # type: ignore[type-arg]
    pass


class Plain(View, key=BoxId):
    count: int = 0


@project(Plain)
async def one_writer(event: Filled, rows: Transaction) -> None:
    pass


@project(Plain)
async def another_writer(event: Filled, rows: Transaction) -> None:
    pass


@decide
def tell(command: Fill) -> Iterator[FilledElsewhere]:
    yield FilledElsewhere(box=command.box)


@decide
def several(command: Fill | Swap, box: Box) -> Iterator[Filled]:
    yield Filled(box=box.key)


@decide
def on_both(command: Fill, box: Box, same: other_box()) -> Iterator[Filled]:  # type: ignore[valid-type]
    yield Filled(box=command.box)


@answer
async def too_curious(query: BoxesOf, views: Views, more: Views) -> list[Shelf]:
    return []


@answer
async def unpromised(query: Unpromising, views: Views) -> list[Shelf]:
    return []


@answer
def not_async(query: BoxesOf, views: Views) -> list[Shelf]:
    return []


def hidden_names() -> type[Aggregate]:
    class Hidden(Event):
        box: "Invisible"  # type: ignore[name-defined]  # noqa: F821

    class Holder(Aggregate, key=BoxId):
        @evolve
        def hidden(self, event: Hidden) -> Self:
            return self

    return Holder


def odd_class(base: Any, **keywords: object) -> Any:
    return type(base)("Odd", (base,), {}, **keywords)


CASES: list[tuple[str, Callable[[], Any], str]] = [
    ("name", lambda: Service("My Bank"), r"Service\('My Bank'\): a service's name is lower-case"),
    ("twice decided", lambda: Service("s", aggregates=[Box], decisions=[fill_again]), r"Box\.fill and fill_again decide"),
    ("not evolved", lambda: Service("s", decisions=[empty]), r"empty \(.*test_declarations\.py:\d+\) yields Emptied.*Box"),
    ("which of two", lambda: Service("s", decisions=[swap]), r"swap \(.*:\d+\).*has one, other.*Name the parameter"),
    ("no key in the command", lambda: Service("s", decisions=[shout]), r"Shout needs one field with the tag 'box'.*none"),
    ("no return type", lambda: Service("s", decisions=[vague]), r"vague \(.*:\d+\): annotate what it yields"),
    ("odd parameter", lambda: Service("s", decisions=[odd]), r"odd \(.*:\d+\): annotate its parameter 'box'"),
    ("not marked", lambda: Service("s", decisions=[unmarked]), r"unmarked \(.*:\d+\).*has no @decide"),
    ("other answer", lambda: Service("s", queries=[wrong_boxes]), r"wrong_boxes \(.*:\d+\) returns .*Box.*BoxesOf asks for"),
    ("twice answered", lambda: Service("s", queries=[all_boxes, all_boxes]), r"queries=.*all_boxes \(.*:\d+\) twice"),
    ("answer not marked", lambda: Service("s", queries=[unmarked]), r"unmarked \(.*:\d+\).*has no @answer"),
    ("nothing evolved", lambda: Service("s", views=[NoEvents]), r"NoEvents \(.*:\d+\) evolves no event"),
    ("no key", lambda: Service("s", views=[NoKey]), r"NoKey \(.*:\d+\) has no key"),
    ("no default", lambda: Service("s", aggregates=[NoDefault]), r"NoDefault \(.*:\d+\): the field 'size' needs a default"),
    ("two steps", lambda: Service("s", aggregates=[TwoSteps]), r"TwoSteps.*TwoSteps evolves Filled twice"),
    ("step not annotated", lambda: Service("s", aggregates=[NotAnnotated]), r"filled \(.*\): annotate its parameter 'event'"),
    ("nobody yields it", lambda: Service("s", publishes=[Filled]), r"publishes Filled, which none of its decisions yields"),
    ("whose event", lambda: Service("s", subscribes=[Nameless]), r"Nameless and does not say whose it is.*source="),
    ("not heard", lambda: Service("s", views=[OtherShelf]), r"handles attic\.Filled.*subscribes="),
    ("one name, two classes", lambda: Service("s", aggregates=[Box], publishes=[same_name()]), r"are both the event Filled"),
    ("projection twice", lambda: Service("s", projections=[one_writer, one_writer]), r"one_writer \(.*:\d+\) twice"),
    ("system", lambda: System(Service("s"), Service("s")), r"two services have the same name"),
    ("a list of services", lambda: System([Service("s")]), r"System\(…\) takes services.*System\(sales, stock\)"),  # type: ignore[arg-type]
    ("a class", lambda: Service("s", aggregates=Box), r"aggregates= takes a list, and got .*Box \(.*:\d+\)\. Write"),  # type: ignore[arg-type]
    ("a text", lambda: Service("s", views="Shelf"), r"views= takes a list, and got 'Shelf'"),  # type: ignore[arg-type]
    ("nothing", lambda: Service("s", views=None), r"views= takes a list, and got None"),  # type: ignore[arg-type]
    ("a function", lambda: Service("s", queries=all_boxes), r"queries= takes a list, and got .*all_boxes \(.*:\d+\)"),  # type: ignore[arg-type]
    ("an instance", lambda: Service("s", aggregates=[Box(key="a")]), r"takes classes derived from Aggregate, and Box\(key"),  # type: ignore[list-item]
    ("twice", lambda: Service("s", aggregates=[Box, Box]), r"aggregates=\[…\] has .*Box \(.*:\d+\) twice"),
    ("name of no text", lambda: Service(5), r"Service\(5\): a service's name is lower-case"),  # type: ignore[arg-type]
    ("long name", lambda: Service("s" * 64), r"a service's name has at most 63"),
    ("its own event", lambda: Service("attic", subscribes=[FilledElsewhere]), r"FilledElsewhere, which is its own"),
    ("another's event", lambda: Service("s", decisions=[tell]), r"FilledElsewhere, which is an event of attic"),
    ("tag", lambda: Tag("a:b"), r"Tag\('a:b'\).*without a colon"),
    ("key", lambda: odd_class(Aggregate, key=str), r"Odd: key=<class 'str'> is not an identity"),
    ("version", lambda: odd_class(Event, version=0), r"Odd: version=0 is not a version"),
    ("no views named", lambda: project()(shelving.function), r"name the views that it writes"),
    ("never reached", lambda: Service("s", views=[NeverReached]), r"unnamed \(.*:\d+\): Unnamed has no field with the tag"),
    ("any event", lambda: Service("s", views=[AnyEvent]), r"any \(.*:\d+\): Event stands for no event.*'event'"),
    ("no promise", lambda: Service("s", queries=[unpromised]), r"Unpromising \(.*:\d+\): say what the answer is"),
    ("two writers", lambda: Service("s", projections=[one_writer, another_writer]), r"another_writer_v1 write the view Plain"),
    ("a fold and a writer", lambda: Service("s", projections=[shelving]), r"shelving_v1 and .*Shelf\.filled \(.*:\d+\) write"),
    ("several commands", lambda: Service("s", decisions=[several]), r"several \(.*:\d+\) takes several commands"),
    ("states of one name", lambda: Service("s", decisions=[on_both]), r"Box and other_box.*Box are the state Box"),
    ("curious answer", lambda: Service("s", queries=[too_curious]), r"too_curious \(.*\): an answer's parameters are one"),
    ("answer not async", lambda: Service("s", queries=[not_async]), r"not_async \(.*:\d+\): an answer is an async function"),
    ("unknown name", lambda: Service("s", aggregates=[hidden_names()]), r"Hidden.*name 'Invisible'.*TYPE_CHECKING"),
    ("a class among decisions", lambda: Service("s", decisions=[Box]), r"Box \(.*:\d+\) .*has no @decide"),
    ("no aggregate", lambda: Service("s", aggregates=[Shelf]), r"aggregates=\[…\] takes classes.*Aggregate.*Shelf"),  # type: ignore[list-item]
    ("no view", lambda: Service("s", views=[Box]), r"views=\[…\] takes classes derived from View.*Box"),  # type: ignore[list-item]
    ("no event", lambda: Service("s", publishes=[Fill]), r"publishes=\[…\] takes classes derived from Event.*Fill"),  # type: ignore[list-item]
    ("no projection", lambda: Service("s", projections=[unmarked]), r"unmarked \(.*:\d+\), which has no @project"),  # type: ignore[list-item]
    ("not async", lambda: project(Shelf)(cast("Any", unmarked)), r"unmarked \(.*:\d+\): a projection is an async function"),
]  # fmt: skip


@pytest.mark.parametrize(("declare", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_cannot_work_is_said_where_it_is_declared(declare: Callable[[], Any], says: str) -> None:
    """The text names the class or function, with file and line where there is one, and what to do."""
    with pytest.raises(DeclarationError, match=f"(?s){says}"):
        declare()


def test_a_version_without_a_way_to_it_is_said() -> None:
    """Stored data of an old version needs a step to the next one, and newer data needs newer code."""

    class Moved(Event, version=3):
        box: BoxId

        @upcast(2)
        def from_two(data: dict[str, Any]) -> dict[str, Any]:
            return data

    with pytest.raises(DeclarationError, match=r"Moved is version 3 and has no @upcast\(1\)"):
        reader(Moved, 1)
    with pytest.raises(DeclarationError, match=r"the log holds version 4"):
        reader(Moved, 4)
    assert reader(Moved, 2)(b'{"box":"a"}') == Moved(box="a")
