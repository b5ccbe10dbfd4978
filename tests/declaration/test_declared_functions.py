"""Decisions, steps, answers and projections: whatever cannot be called as it has to be is said where it is declared."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Annotated, Any, List, NamedTuple, Optional, Self, TypedDict, cast  # noqa: F401, UP035

import pytest
from pydantic import BaseModel
from sqlalchemy import delete, exists, insert, select

from twofold import (
    Aggregate,
    Command,
    Context,
    Event,
    Query,
    Service,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    project,
    replace,
)
from twofold.errors import DeclarationError
from twofold.followers import parking
from twofold.testing import given, running
from twofold.views import Transaction

BoxId = Annotated[str, Tag("box")]


class Fill(Command):
    box: BoxId


class FillAgain(Command):
    box: BoxId


class FillMore(Command):
    box: BoxId


class Perhaps(Command):
    box: BoxId | None = None


class Move(Command):
    source: BoxId
    target: BoxId


class Filled(Event):
    box: BoxId


class Changed(Event, version=3):
    box: BoxId


class Box(Aggregate, key=BoxId):
    times: int = 0

    @evolve
    def filled(self, event: Filled) -> Self:
        return replace(self, times=self.times + 1)


class Shelf(View, key=BoxId):
    times: int = 0

    @evolve
    def filled(self, event: Filled) -> Self | None:
        return replace(self, times=self.times + 1) if self.times < 5 else None


class Forgotten(View, key=BoxId):
    @evolve
    def filled(self, event: Filled) -> Self:
        return self


def logged(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return wrapper


def bare(function: Any) -> Any:
    def wrapper(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return wrapper


def decided(function: Any) -> Callable[[], Any]:
    return lambda: Service("s", decisions=[decide(function)])


def evolved(step: Any, base: Any = Aggregate) -> Callable[[], Any]:
    def declare() -> None:
        state = type(base)("Odd", (base,), {"step": step() if step.__name__ == "<lambda>" else evolve(step)}, key=BoxId)
        declared: dict[str, Any] = {"views" if base is View else "aggregates": [state]}
        Service("s", **declared)

    return declare


def answered(function: Any) -> Callable[[], Any]:
    return lambda: Service("s", queries=[answer(function)])


async def decides_late(command: Fill, box: Box) -> AsyncIterator[Filled]:
    yield Filled(box=command.box)


@logged
async def decides_late_inside(command: Fill, box: Box) -> Iterator[Filled]:
    return iter([Filled(box=command.box)])


def returns_one(command: Fill, box: Box) -> Filled:
    return Filled(box=command.box)


def yields_any(command: Fill, box: Box) -> Iterator[Event]:
    yield Filled(box=command.box)


def takes_any(command: Command) -> Iterator[Filled]:
    yield Filled(box="a")


def takes_all(*args: Any) -> Iterator[Filled]:
    yield Filled(box="a")


def takes_by_name(*, command: Fill, box: Box) -> Iterator[Filled]:
    yield Filled(box=command.box)


def takes_a_number(command: Fill, box: Box, times: int = 5) -> Iterator[Filled]:
    yield Filled(box=command.box)


def perhaps(command: Perhaps, box: Box) -> Iterator[Filled]:
    yield Filled(box="a")


class Both(Aggregate, key=BoxId):
    @decide
    def move(self, command: Move) -> Iterator[Filled]:
        yield Filled(box=command.source)

    @evolve
    def filled(self, event: Filled) -> Self:
        return self


class Old(Aggregate, key=BoxId):
    @evolve
    def changed(self, event: Changed) -> Self:
        return self


class DecidingView(View, key=BoxId):
    @decide
    def fill(self, command: Fill) -> Iterator[Filled]:
        yield Filled(box=command.box)

    @evolve
    def filled(self, event: Filled) -> Self:
        return self


class Hidden(Box, key=BoxId):
    def filled(self, event: Filled) -> Self:
        return self


async def steps_late(self: Any, event: Filled) -> Any:
    return self


def steps_often(self: Any, event: Filled) -> Iterator[Any]:
    yield self


def steps_elsewhere(self: Any, event: Filled) -> Shelf:
    return Shelf(key="a")


def steps_nowhere(self: Any, event: Filled) -> None:
    return None


def steps_with_more(self: Any, event: Filled, context: Context) -> Any:
    return self


def steps_by_name(self: Any, *, event: Filled) -> Any:
    return self


def steps(self: Any, event: Filled) -> Any:
    return self


class Model(BaseModel):
    times: int


class HowOften(Query[int]):
    box: BoxId


class AsModel(Query[Model]):
    pass


class Plain(Query):  # type: ignore[type-arg]
    pass


async def answers_often(query: HowOften, views: Views) -> AsyncIterator[int]:
    yield 5


def answers_at_once(query: HowOften, views: Views) -> int:
    return 5


async def answers_from_a_view(query: HowOften, views: View) -> int:
    return 5


async def answers_by_name(query: HowOften, *, views: Views) -> int:
    return 5


async def answers_untold(query: HowOften, views: Views):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return 5


async def answers_with_a_model(query: AsModel, views: Views) -> Model:
    return Model(times=5)


async def answers_forgotten(query: HowOften, views: Views) -> int:
    return await all_forgotten(views)


async def all_forgotten(views: Views) -> int:
    return len(await views.find(Forgotten))


async def projects_often(event: Filled, rows: Transaction) -> AsyncIterator[None]:
    yield None


async def projects_with_more(event: Filled, rows: Transaction, context: Context) -> None:
    pass


async def projects_any(event: Event, rows: Transaction) -> None:
    pass


class Projected(View, key=BoxId):
    times: int = 0


async def projects_forgotten(event: Filled, rows: Transaction) -> None:
    rows.put(Forgotten(key=event.box))


def returns_many(command: Fill, box: Box) -> list[Filled]:
    return [Filled(box=box.key)]


async def projects_by_reading(event: Filled, rows: Views) -> None:
    pass


def later(function: Callable[..., Any]) -> Any:
    """Make a function async, as a decorator does that somebody puts above the mark."""

    @functools.wraps(function)
    async def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


def decides_on_a_row(command: Fill, shelf: Shelf) -> Iterator[Filled]:
    yield Filled(box=shelf.key)


def sometimes(every: Any) -> Callable[[], Any]:
    class Kept(Box):
        snapshot_every = every

    return lambda: Service("s", aggregates=[Kept])


def projected(function: Any, *views: Any, version: Any = 1) -> Callable[[], Any]:
    return lambda: Service("s", projections=[project(*(views or [Projected]), version=version)(function)])


CASES: list[tuple[Callable[[], Any], str]] = [
    (decided(decides_late), r"decides_late \(.*functions\.py:\d+\) has @decide and is async.*plain `def`"),
    (decided(decides_late_inside), r"decides_late_inside \(.*:\d+\) has @decide and is async"),
    (decided(returns_one), r"returns_one \(.*:\d+\): annotate what it yields"),
    (decided(yields_any), r"yields_any \(.*:\d+\): say which events"),
    (decided(takes_any), r"takes_any \(.*:\d+\): Command stands for no command.*'command'"),
    (decided(takes_all), r"takes_all \(.*:\d+\) takes any parameters by \*args.*functools\.wraps"),
    (decided(bare(returns_one)), r"wrapper \(.*:\d+\) takes any parameters by \*args.*functools\.wraps"),
    (decided(takes_by_name), r"takes_by_name \(.*:\d+\) gets its command by position"),
    (decided(takes_a_number), r"takes_a_number \(.*:\d+\): annotate its parameter 'times' with Context or"),
    (decided(perhaps), r"perhaps \(.*:\d+\) decides on Box, and Perhaps may leave out the 'box'.*Require the field"),
    (decided(functools.partial(returns_one)), r"@decide stands right before a `def`"),
    (decided(Fill), r"@decide stands right before a `def`, without parentheses.*Fill"),
    (lambda: Service("s", aggregates=[Both]), r"move \(.*:\d+\).*has source, target\. Write a function whose parameter"),
    (lambda: Service("s", aggregates=[Old]), r"Changed is version 3 and has no @upcast\(1\).*Changed \(.*:\d+\)"),
    (lambda: Service("s", views=[DecidingView]), r"DecidingView\.fill \(.*:\d+\) decides, and a view is only read"),
    (lambda: Service("s", aggregates=[Hidden]), r"Hidden \(.*:\d+\): its 'filled' hides .*Box\.filled.*Give it @evolve"),
    (evolved(steps_late), r"steps_late \(.*:\d+\) has @evolve and is async"),
    (evolved(steps_often), r"steps_often \(.*:\d+\) has @evolve and yields.*return replace"),
    (evolved(steps_elsewhere), r"steps_elsewhere \(.*:\d+\) evolves Odd, and is annotated to return .*Shelf.*-> Self"),
    (evolved(steps_nowhere, View), r"steps_nowhere \(.*:\d+\) evolves Odd.*-> Self"),
    (evolved(steps_with_more), r"steps_with_more \(.*:\d+\) is called as .*, and takes self, event, context"),
    (evolved(steps_by_name), r"steps_by_name \(.*:\d+\) is called as steps_by_name\(self, event\)"),
    (evolved(lambda: staticmethod(evolve(steps))), r"steps \(.*:\d+\) has @evolve and is a staticmethod\. Make it a plain"),
    (evolved(lambda: property(cast("Any", evolve(steps)))), r"steps \(.*:\d+\) has @evolve and is a property"),
    (evolved(lambda: classmethod(evolve(steps))), r"steps \(.*:\d+\) has @evolve and is a classmethod"),
    (evolved(lambda: functools.partialmethod(evolve(steps))), r"steps \(.*:\d+\) has @evolve and is a partialmethod"),
    (evolved(lambda: answer(steps)), r"Odd: step has @answer\. A state has steps and decisions"),
    (answered(answers_often), r"answers_often \(.*:\d+\): an answer does not yield"),
    (answered(answers_at_once), r"answers_at_once \(.*:\d+\): an answer is an async function.*`async def`"),
    (answered(answers_from_a_view), r"answers_from_a_view \(.*:\d+\): annotate its parameter 'views' with Views"),
    (answered(answers_by_name), r"answers_by_name \(.*:\d+\) is called as answers_by_name\(query, views\)"),
    (answered(answers_untold), r"answers_untold \(.*:\d+\) returns 'nothing at all', and HowOften asks for"),
    (answered(answers_with_a_model), r"answers_with_a_model \(.*:\d+\): the answer to AsModel.*Model cannot be said in JSON"),
    (answered(answers_forgotten), r"answers_forgotten \(.*:\d+\) names the view .*Forgotten \(.*:\d+\), .*views=\[…\]"),
    (answered(HowOften), r"@answer stands right before an `async def`.*HowOften"),
    (projected(projects_often), r"projects_often \(.*:\d+\): a projection does not yield"),
    (projected(projects_with_more), r"projects_with_more \(.*:\d+\) is called as projects_with_more\(event, rows\)"),
    (evolved(lambda: later(evolve(steps))), r"steps \(.*:\d+\) has @evolve and is async"),
    (lambda: Service("s", decisions=[later(decide(returns_many))]), r"returns_many \(.*:\d+\) has @decide and is async"),
    (decided(decides_on_a_row), r"decides_on_a_row \(.*:\d+\): annotate its parameter 'shelf' with Context or an aggregate"),
    (sometimes("1000"), r"Kept \(.*:\d+\): snapshot_every = '1000' is no number of events"),
    (sometimes(-1), r"snapshot_every = -1 is no number of events.*or 0 for no snapshots"),
    (projected(projects_by_reading), r"projects_by_reading \(.*:\d+\): annotate its parameter 'rows' with Transaction"),
    (projected(projects_any), r"projects_any \(.*:\d+\): Event stands for no event of its own"),
    (projected(projects_forgotten), r"projects_forgotten \(.*:\d+\) names the view .*Forgotten"),
    (projected(projects_any, "Shelf"), r"@project\(…\) takes the classes of the views.*'Shelf'"),
    (projected(projects_any, Projected, Projected), r"@project\(…\) takes the classes .* each once.*Projected"),
    (projected(projects_any, version="2"), r"projects_any \(.*:\d+\): version='2' is not a version"),
]  # fmt: skip


@pytest.mark.parametrize(("declare", "says"), CASES, ids=[says for _, says in CASES])
def test_what_cannot_be_called_is_said_where_it_is_declared(declare: Callable[[], Any], says: str) -> None:
    """The text names the function with its line, what is wrong with it, and what to write."""
    with pytest.raises(DeclarationError, match=f"(?s){says}"):
        declare()


@decide
@logged
def fill(command: Fill, /, *, context: Context, box: Box) -> Generator[Filled, None, None]:
    assert context.new_id()
    yield Filled(box=box.key)


@decide
def fill_again(command: FillAgain, box: Box) -> list[Filled]:
    return [Filled(box=box.key)]


@decide
def fill_more(command: FillMore, context: Context, box: Box) -> tuple[Filled, ...]:
    return (Filled(box=box.key), Filled(box=box.key)) if context.new_id() else ()


class Sizes(TypedDict):
    times: int


class Pair(NamedTuple):
    box: str
    times: int


class ShelfOf(Query["Optional[Shelf]"]):
    box: BoxId


class AllSizes(Query[List[Sizes]]):  # noqa: UP006
    pass


class AsPair(Query[Pair]):
    box: BoxId


@answer
@logged
async def shelf_of(query: ShelfOf, views: Views) -> Shelf | None:
    return await views.get(Shelf, query.box)


@answer
async def all_sizes(query: AllSizes, views: Views) -> list[Sizes]:
    return [{"times": row.times} for row in await views.find(Shelf)]


@answer
async def as_pair(query: AsPair, views: Views) -> Pair:
    return Pair(query.box, 1)


def test_whatever_can_be_called_is_called_as_it_is_written() -> None:
    """Wrapped functions, parameters by name, lists and tuples of events, types in quotes or spelled otherwise."""
    service = Service(
        "s",
        aggregates=(Box,),
        decisions=cast("Any", (each for each in (fill, fill_again, fill_more))),
        views=[Shelf],
        queries=[shelf_of, all_sizes, as_pair],
    )

    async def scenario() -> None:
        async with running(service) as started:
            for command in (Fill(box="a"), FillAgain(box="a"), FillMore(box="a")):
                receipt = await started.send(command)
            assert await started.ask(ShelfOf(box="a"), after=receipt) == Shelf(key="a", times=4)
            assert await started.ask(AllSizes()) == [{"times": 4}]
            assert (await started.answered(AsPair(box="a"))).data == b'["a",1]'

    asyncio.run(scenario())


def test_a_decision_that_returns_no_list_is_named() -> None:
    """What was meant to be yielded was returned, or nothing was."""

    def one(command: Fill, box: Box) -> Iterator[Filled]:
        return cast("Iterator[Filled]", Filled(box=command.box))

    def none(command: Fill, box: Box) -> Iterator[Filled]:  # type: ignore[empty-body]
        pass

    for function in (one, none):
        with pytest.raises(TypeError, match=rf"{function.__name__} \(.*:\d+\) returns .*write `yield` before each"):
            given(decide(function)).when(Fill(box="a"))


class Wandering(Aggregate, key=BoxId):
    @decide
    def fill(self, command: Fill) -> Iterator[Filled]:
        yield Filled(box=command.box)

    @evolve
    def filled(self, event: Filled) -> Self:
        return replace(self, key="elsewhere")


class Turning(Aggregate, key=BoxId):
    @decide
    def fill(self, command: Fill) -> Iterator[Filled]:
        yield Filled(box=command.box)

    @evolve
    def filled(self, event: Filled) -> Self:
        return cast("Self", Box(key=self.key))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (Wandering, r"Wandering\.filled \(.*:\d+\) evolves Filled to the Wandering of 'elsewhere' instead of 'a'"),
        (Turning, r"Turning\.filled \(.*:\d+\) evolves Filled to Box\(.*return replace"),
    ],
)
def test_a_step_that_returns_another_state_records_nothing(state: type[Aggregate], says: str) -> None:
    """A state of another class or key would be decided on as if it were the right one."""

    async def scenario() -> None:
        async with running(Service("s", aggregates=[state])) as started:
            with pytest.raises(TypeError, match=says):
                await started.send(Fill(box="a"))
            assert await started.log.head() == 0

    asyncio.run(scenario())
    with pytest.raises(TypeError, match=says):
        given(state, Filled(box="a")).when(Fill(box="a"))


class WanderingRow(View, key=BoxId):
    @evolve
    def filled(self, event: Filled) -> Self:
        return replace(self, key="elsewhere")


def test_a_step_that_returns_another_row_is_parked() -> None:
    """The row of another key is not its to write."""

    async def scenario() -> None:
        async with running(Service("s", decisions=[fill], views=[WanderingRow])) as started:
            await started.send(Fill(box="a"))
            while not (parked := await parking.parked(started.views, "wandering_row_v1")):
                await asyncio.sleep(0.01)
            assert "evolves Filled to the WanderingRow of 'elsewhere' instead of 'a'" in parked[0].error

    asyncio.run(scenario())


READS: list[Callable[[Views, type[View]], Coroutine[Any, Any, Any]]] = [
    lambda views, view: views.get(view, "a"),
    lambda views, view: views.find(view),
    lambda views, view: views.select(select(view.c.key)),
    lambda views, view: views.select(select(Shelf.c.key).where(Shelf.c.key.in_(select(view.c.key)))),
    lambda views, view: views.find(Shelf, Shelf.c.key.in_(select(view.c.key))),
    lambda views, view: views.find(Shelf, exists().where(view.c.key == Shelf.c.key)),
]


@pytest.mark.parametrize("read", READS)
def test_a_view_that_is_not_declared_is_named_when_it_is_read(
    read: Callable[[Views, type[View]], Coroutine[Any, Any, Any]],
) -> None:
    """An answer may come to a view by ways that its code does not show."""
    hidden: dict[str, type[View]] = {"view": Forgotten}

    @answer
    async def how_often(query: HowOften, views: Views) -> int:
        return len(await read(views, hidden["view"]) or ())

    async def scenario() -> None:
        async with running(Service("s", views=[Shelf], queries=[how_often])) as started:
            with pytest.raises(DeclarationError, match=r"The view .*Forgotten \(.*:\d+\) is read.*views=\[…\]"):
                await started.ask(HowOften(box="a"))

    asyncio.run(scenario())


MISREADS: list[tuple[Callable[[Views], Coroutine[Any, Any, Any]], str]] = [
    (lambda views: views.find(Shelf, "times > 1"), r"'times > 1' is no condition that Shelf can be found by.*Shelf\.c\.key"),
    (lambda views: views.find(Shelf, True), r"True is no condition"),
    (lambda views: views.find(cast("Any", Box)), r"Box \(.*:\d+\) is read as a view, and is none"),
    (lambda views: views.get(cast("Any", "shelf"), "a"), r"'shelf' is read as a view, and is none"),
    (lambda views: views.select(delete(Shelf.c.key.table)), r"A query only reads.*DELETE FROM shelf_v1"),
    (lambda views: views.select(insert(Shelf.c.key.table).values(key="b").returning(Shelf.c.key)), r"INSERT INTO shelf_v1"),
]  # fmt: skip


@pytest.mark.parametrize(("read", "says"), MISREADS, ids=[says for _, says in MISREADS])
def test_what_is_no_way_to_read_is_said(read: Callable[[Views], Coroutine[Any, Any, Any]], says: str) -> None:
    """Before a database is asked: what is no condition and what is no view is named, and what would write is refused."""

    @answer
    async def how_often(query: HowOften, views: Views) -> int:
        return len(await read(views))

    async def scenario() -> None:
        async with running(Service("s", views=[Shelf], queries=[how_often])) as started:
            with pytest.raises(DeclarationError, match=f"(?s){says}"):
                await started.ask(HowOften(box="a"))

    asyncio.run(scenario())
