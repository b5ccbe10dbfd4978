"""Processes that cannot work: each is said where it is declared, with what to do."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, Self

import pytest

from twofold import (
    Accepted,
    Aggregate,
    Command,
    Compensate,
    Compensated,
    Context,
    Event,
    Later,
    Process,
    Refused,
    Service,
    Step,
    Tag,
    Timer,
    View,
    decide,
    evolve,
    migrate,
    react,
    replace,
)
from twofold.errors import DeclarationError
from twofold.processes import definitions_of

JobId = Annotated[str, Tag("job")]
OtherId = Annotated[str, Tag("other")]


class Begun(Event):
    job: JobId


class Elsewhere(Event):
    other: OtherId


class Do(Command):
    job: JobId


class Undo(Command):
    job: JobId


class Deadline(Timer):
    job: JobId


class Works(Process, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react(starts=True)
    def begin(self, event: Begun) -> Iterator[Do]:
        yield Do(job=event.job)


class Job(Aggregate, key=JobId):
    @decide
    def do(self, command: Do) -> Iterator[Begun]:
        yield Begun(job=command.job)

    @evolve
    def begun(self, event: Begun) -> Self:
        return self


def no_start() -> Any:
    class P(Process, key=JobId, missing="ignore", ended="ignore"):
        pass


def naive_start() -> Any:
    class P(Process, key=JobId, start=datetime(2026, 1, 1), missing="ignore", ended="ignore"):  # noqa: DTZ001
        pass


def no_missing() -> Any:
    class P(Process, key=JobId, start="now", ended="ignore"):
        pass


def other_missing() -> Any:
    class P(Process, key=JobId, start="now", missing="start", ended="ignore"):
        pass


def no_ended() -> Any:
    class P(Process, key=JobId, start="now", missing="ignore"):
        pass


def no_key() -> Any:
    class P(Process, start="now", missing="ignore", ended="ignore"):
        pass


def unknown_keyword() -> Any:
    class P(Process, key=JobId, start="now", missing="ignore", ended="ignore", polcy=1):
        pass


def odd_name() -> Any:
    class P(Process, name="a/b", key=JobId, start="now", missing="ignore", ended="ignore"):
        pass


def two_keys() -> Any:
    class P(Process, key=(JobId, OtherId), start="now", missing="ignore", ended="ignore"):
        pass


def decides() -> Any:
    class P(Process, key=JobId, start="now", missing="ignore", ended="ignore"):
        @decide
        def do(self, command: Do) -> Iterator[Begun]:
            yield Begun(job=command.job)


def reacts_in_a_view() -> Any:
    class V(View, key=JobId):
        @react
        def begin(self, event: Begun) -> Iterator[Do]:
            yield Do(job=event.job)


def is_async() -> Any:
    class P(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
        @react
        async def later(self, event: Begun) -> Any:
            yield Do(job=event.job)


def called_react() -> Any:
    return react(starts=True)(Do)


def odd_migration() -> Any:
    @migrate(0)
    def migrated(state: dict[str, Any]) -> dict[str, Any]:
        return state


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (no_start, r"P \(.*\): it does not say with what it begins\. Write start='now'"),
        (naive_start, r"P \(.*\): start=datetime.* is none\. Write start='now'"),
        (no_missing, r"P \(.*\): it does not say what becomes of an event that finds none\. Write missing='ignore' or"),
        (other_missing, r"P \(.*\): missing='start' does not say"),
        (no_ended, r"P \(.*\): it does not say what becomes of an event that finds one which has ended\. Write ended="),
        (no_key, r"P \(.*\): start=, missing= and ended= stand beside key=, and this class has none"),
        (unknown_keyword, r"P \(.*\): .*polcy"),
        (odd_name, r"P \(.*\): name='a/b' is not a name"),
        (two_keys, r"P \(.*\): only views are found by several identities"),
        (
            decides,
            r"P \(.*\): do has @decide\. A state has steps and reactions, and what decides stands in an aggregate",
        ),
        (reacts_in_a_view, r"V \(.*\): begin has @react\. A state has steps and decisions"),
        (is_async, r"later \(.*\) has @react and is async"),
        (called_react, r"@react stands right before a `def`.*found .*Do"),
        (odd_migration, r"migrated \(.*\): write @migrate\(1\)"),
    ],
)
def test_a_class_that_cannot_work_is_not_made(declare: Callable[[], Any], text: str) -> None:
    """The class is named, with its line, and what to write instead."""
    with pytest.raises(DeclarationError, match=text):
        declare()


class Base(Process):
    """What the following have in common."""


class NeverStarted(Base, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def begin(self, event: Begun) -> Iterator[Do]:
        yield Do(job=event.job)


class WithoutDefault(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    count: int


class OtherKey(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def elsewhere(self, event: Elsewhere) -> Iterator[Do]:
        yield Do(job=event.other)


class OtherKeyEvolved(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @evolve
    def elsewhere(self, event: Elsewhere) -> Self:
        return self


class Twice(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def again(self, event: Begun) -> Iterator[Do]:
        yield Do(job=event.job)


class Untold(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def other(self, event: Do) -> Iterator[Do]:
        yield event


class NoParameter(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def other(self) -> Iterator[Do]:
        yield Do(job=self.key)


class Unsaid(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def other(self, outcome: Accepted[Do]):  # type: ignore[no-untyped-def]  # noqa: ANN201
        yield Do(job=self.key)


class SaidLoosely(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def other(self, outcome: Accepted[Do]) -> Iterator[Command]:
        yield Do(job=self.key)


class MoreParameters(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def other(self, outcome: Accepted[Do], mailer: int) -> Iterator[Do]:
        yield Do(job=self.key)


class NeverSent(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def undone(self, outcome: Accepted[Undo]) -> Iterator[Do]:
        yield Do(job=self.key)


class NeverSentEvolved(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @evolve
    def undone(self, outcome: Refused[Undo]) -> Self:
        return self


class NeverSet(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def late(self, timer: Deadline) -> Iterator[Do]:
        yield Do(job=self.key)


class SetForNothing(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def wait(self, outcome: Accepted[Do]) -> Iterator[Later[Deadline]]:
        yield from ()


class NeverCompensated(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def undone(self, event: Compensated) -> Iterator[Do]:
        yield Do(job=self.key)


class NothingToUndo(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def undo(self, outcome: Refused[Do]) -> Iterator[Compensate]:
        yield Compensate()


class ForEver(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def refused(self, outcome: Refused[Do]) -> Iterator[Step[Do, Undo]]:
        yield from ()

    @react
    def undone(self, event: Compensated) -> Iterator[Compensate]:
        yield Compensate()


class OutcomeStarts(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react(starts=True)
    def again(self, outcome: Accepted[Do]) -> Iterator[Do]:
        yield Do(job=self.key)


class OutcomeOfNothing(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @react
    def again(self, outcome: Accepted) -> Iterator[Do]:  # type: ignore[type-arg]
        yield Do(job=self.key)


class WrongStep(Works, key=JobId, start="now", missing="ignore", ended="ignore"):
    @evolve
    def begun(self, event: Begun) -> "Job":
        return Job(key=event.job)


class LateMigration(Works, key=JobId, start="now", missing="ignore", ended="ignore", version=2):
    @migrate(2)
    def up(state: dict[str, Any]) -> dict[str, Any]:
        return state


@pytest.mark.parametrize(
    ("process", "text"),
    [
        (NeverStarted, r"NeverStarted \(.*\) is never started\. Say which event does that: @react\(starts=True\)"),
        (WithoutDefault, r"WithoutDefault \(.*\): the field 'count' needs a default"),
        (OtherKey, r"elsewhere \(.*\): Elsewhere has no field with the tag 'job'"),
        (OtherKeyEvolved, r"elsewhere \(.*\): Elsewhere has no field with the tag 'job'"),
        (Twice, r"again \(.*\): Twice reacts to Begun twice"),
        (Untold, r"other \(.*\): annotate its parameter 'event' with what it is for: an event, Accepted"),
        (NoParameter, r"other \(.*\): annotate its parameter 'event' with what it is for"),
        (Unsaid, r"other \(.*\): annotate what it yields, by name"),
        (SaidLoosely, r"other \(.*\): annotate what it yields, by name: .* found .*Command"),
        (MoreParameters, r"other \(.*\): annotate its parameter 'mailer' with Context, or leave it out"),
        (NeverSent, r"undone \(.*\) is for Accepted\[Undo\], and no reaction of NeverSent yields a Undo"),
        (NeverSentEvolved, r"undone \(.*\) is for Refused\[Undo\], and no reaction"),
        (NeverSet, r"late \(.*\) is for the timer Deadline, and no reaction of NeverSet yields a Later\[Deadline\]"),
        (SetForNothing, r"SetForNothing \(.*\) sets the timer Deadline, and is not told when it comes"),
        (
            NeverCompensated,
            r"undone \(.*\) is for Compensated, and no reaction of NeverCompensated yields a Compensate",
        ),
        (
            NothingToUndo,
            r"NothingToUndo \(.*\) compensates, and none of its reactions yields a step that can be undone",
        ),
        (ForEver, r"undone \(.*\) is told that all is undone, and has all undone: it would be told that for ever"),
        (OutcomeStarts, r"again \(.*\) reacts to Accepted\[Do\], which only an instance is told that is there"),
        (OutcomeOfNothing, r"again \(.*\): annotate its parameter 'outcome' with what it is for"),
        (WrongStep, r"begun \(.*\) evolves WrongStep, and is annotated to return .*Job"),
        (LateMigration, r"up \(.*\) has @migrate\(2\), and the class is version 2"),
    ],
)
def test_a_process_that_cannot_work_is_not_declared(process: type[Process], text: str) -> None:
    """The class or the method is named, with its line, and what to do."""
    with pytest.raises(DeclarationError, match=text):
        Service("works", aggregates=[Job], processes=[process])


def test_what_is_sent_is_decided() -> None:
    """A command that nobody decides on would be parked, once it is sent; that is known before."""
    with pytest.raises(
        DeclarationError, match=r"Works \(.*\) sends Do, and nothing in Service\('idle'\) decides on it\. Add"
    ):
        Service("idle", processes=[Works])


def test_what_another_service_decides_is_its_own_affair() -> None:
    """It may be in another system, and is named by the command."""

    class DoThere(Command, service="there"):
        job: JobId

    class Far(Process, key=JobId, start="now", missing="ignore", ended="ignore"):
        @react(starts=True)
        def begin(self, event: Begun) -> Iterator[DoThere]:
            yield DoThere(job=event.job)

    assert [each.name for each in Service("here", aggregates=[Job], processes=[Far]).declaration.processes] == ["Far"]


def test_a_name_stands_for_one_command() -> None:
    """Two classes of one name have two meanings."""

    class Do(Command):
        job: JobId

    class Odd(Process, key=JobId, start="now", missing="ignore", ended="ignore"):
        @react(starts=True)
        def begin(self, event: Begun) -> Iterator[Do]:
            yield Do(job=event.job)

    with pytest.raises(DeclarationError, match=r"Odd .* sends .*Do .*, and what Service\('works'\) decides on"):
        Service("works", aggregates=[Job], processes=[Odd])


def test_a_process_has_its_own_name_and_versions() -> None:
    """Two classes of one name and version are one too many; of two versions, the key is one."""

    class Again(Works, name="Works", key=JobId, start="now", missing="ignore", ended="ignore"):
        pass

    class Elsewhere(Event):
        other: OtherId

    class Moved(Process, name="Works", version=2, key=OtherId, start="now", missing="ignore", ended="ignore"):
        @react(starts=True)
        def begin(self, event: Elsewhere) -> Iterator[Do]:
            yield Do(job=event.other)

    with pytest.raises(DeclarationError, match=r"Works .* and .*Again .* are both the process Works, version 1"):
        Service("works", aggregates=[Job], processes=[Works, Again])
    with pytest.raises(DeclarationError, match=r"versions of the process Works with different keys"):
        definitions_of([Works, Moved])


def test_a_view_has_another_table_than_instances() -> None:
    """What processes remember is in a table of the same database."""

    class ProcessInstance(View, key=JobId):
        @evolve
        def begun(self, event: Begun) -> Self:
            return replace(self)

    with pytest.raises(DeclarationError, match=r"fill the table process_instance_v1"):
        Service("works", aggregates=[Job], views=[ProcessInstance], processes=[Works])


def test_a_reaction_may_ask_for_the_context_by_any_name() -> None:
    """It is found by its type."""

    class Timed(Process, key=JobId, start="now", missing="ignore", ended="ignore"):
        at: str = ""

        @react(starts=True)
        def begin(self, event: Begun, circumstances: Context) -> Iterator[Step[Do, Undo]]:
            yield from ()

    assert definitions_of([Timed])[0].commands.keys() == {"Do", "Undo"}
