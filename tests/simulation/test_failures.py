"""Code of users that fails where nobody expects it: a simulation says so, and does not fail itself."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Annotated, Self

import pytest

from twofold import Aggregate, Command, Event, Service, System, Tag, View, Views, decide, evolve, project, replace
from twofold.errors import DeclarationError
from twofold.simulation import Faults, Plan, Report, invariant, simulate, simulate_once
from twofold.views import Transaction

LampId = Annotated[str, Tag("lamp")]


class Press(Command):
    lamp: LampId


class Pressed(Event):
    lamp: LampId


class Moody:
    """Fails at every seventh time, whoever asks."""

    times = 0

    def ask(self) -> None:
        self.times += 1
        if self.times % 7 == 0:
            raise ValueError("Not now.")


@decide
def press(command: Press) -> Iterator[Pressed]:
    yield Pressed(lamp=command.lamp)


class Row(View, key=LampId):
    times: int = 0


def broken(simulated: Service | System) -> Report:
    return next(each for each in (simulate_once(simulated, seed, commands=30) for seed in range(50)) if each.violations)


def rules(simulated: Service | System) -> set[str]:
    return {each.rule for each in broken(simulated).violations}


def test_a_step_of_a_view_that_fails_now_and_then_is_told() -> None:
    """Where it succeeded when the row was stored, and fails when it is judged, the row is no fold of the log."""
    mood = Moody()

    class Lamp(View, key=LampId):
        times: int = 0

        @evolve
        def pressed(self, event: Pressed) -> Self:
            mood.ask()
            return replace(self, times=self.times + 1)

    found = rules(Service("lamps", decisions=[press], views=[Lamp]))
    assert found <= {"A view is a fold of what it has handled.", "Nothing is parked."}


def test_a_step_of_a_state_that_fails_now_and_then_is_told() -> None:
    """In the words of a rule, whether it failed in a process or only when it was judged."""
    mood = Moody()

    class Lamp(Aggregate, key=LampId):
        times: int = 0

        @decide
        def press(self, command: Press) -> Iterator[Pressed]:
            yield Pressed(lamp=command.lamp)

        @evolve
        def pressed(self, event: Pressed) -> Self:
            mood.ask()
            return replace(self, times=self.times + 1)

    assert "A decision is made on what the log holds before it." in rules(Service("lamps", aggregates=[Lamp]))


def test_a_task_that_fails_and_that_nobody_awaits_is_told() -> None:
    """With what it was and how it failed: asyncio would only write to its log, when memory is freed."""
    begun = []

    async def light() -> None:
        raise ValueError("No lamp.")

    @project(Row)
    async def lamps(event: Pressed, rows: Transaction) -> None:
        begun.append(asyncio.create_task(light()))

    report = broken(Service("lamps", decisions=[press], views=[Row], projections=[lamps]))
    (told,) = {each.found.partition(": ")[2] for each in report.violations}
    assert told.endswith("light failed with ValueError('No lamp.')")


def test_code_may_do_several_things_at_once() -> None:
    """Projections and invariants can gather what they read, also where they are judged outside of any process."""

    @project(Row)
    async def lamps(event: Pressed, rows: Transaction) -> None:
        row, other = await asyncio.gather(rows.get(Row, event.lamp), rows.get(Row, "another"))
        rows.put(replace(row, times=row.times + 1 + other.times))

    @invariant
    async def rows_are_read(views: Views) -> bool:
        first, second = await asyncio.gather(views.find(Row), views.find(Row))
        return [*first] == [*second]

    service = Service("lamps", decisions=[press], views=[Row], projections=[lamps])
    assert simulate(service, runs=5, commands=30, invariants=[rows_are_read]) >= 5 * 30


class Counted(View, key=LampId):
    times: int = 0

    @evolve
    def pressed(self, event: Pressed) -> Self:
        return replace(self, times=self.times + 1)


def test_a_service_without_commands_is_refused() -> None:
    """Nothing would happen in its worlds, and nothing be found."""
    with pytest.raises(DeclarationError, match=r"lamps: there are no commands.*System"):
        simulate_once(Service("lamps", views=[Counted]), 0)


class Mix(Command):
    lamp: LampId
    colours: frozenset[str]


class Mixed(Event):
    lamp: LampId
    colours: frozenset[str]


@decide
def mix(command: Mix) -> Iterator[Mixed]:
    # Other sets of the same texts have them in other orders.
    yield Mixed(lamp=command.lamp, colours=frozenset(sorted(command.colours, key=hash, reverse=bool(next(TURNS) % 2))))


TURNS = count()


def test_a_set_has_no_order() -> None:
    """Whatever its JSON has: an event of the same set is the same; and it is shown alike in every process."""
    service = Service("lamps", decisions=[mix])
    reports = [simulate_once(service, seed, commands=40) for seed in range(5)]
    assert [report.violations for report in reports] == [[]] * 5
    assert "colours=frozenset({'', 'a'})" in "".join([str(report.trace) for report in reports])


class PressedElsewhere(Event, name="Pressed", source="lamps"):
    lamp: LampId
    watts: int


class Watts(View, key=LampId):
    total: int = 0

    @evolve
    def pressed(self, event: PressedElsewhere) -> Self:
        return replace(self, total=self.total + event.watts)


def test_what_is_heard_and_does_not_fit_is_told() -> None:
    """A service asks for more than the other one says: whatever it hears is parked."""
    system = System(
        Service("lamps", decisions=[press], publishes=[Pressed]),
        Service("power", views=[Watts], subscribes=[PressedElsewhere]),
    )
    assert "Nothing is parked." in rules(system)


def test_that_no_process_can_start_for_a_while_is_an_accident() -> None:
    """Clients give up, and in the end, when the databases can be read again, all processes have to be there."""
    lamps = Service("lamps", decisions=[press])
    plan = Plan(commands=2, faults=Faults(refused_read=1.0))
    report = simulate_once(lamps, 0, plan=plan)
    assert (report.violations, report.commands) == ([], 0)
    assert "gives up, as there is no process that takes commands" in str(report.trace)
