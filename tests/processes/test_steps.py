"""The step of a process, case by case: what follows from what it is told, to the last detail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

import msgspec
import pytest

from twofold import (
    Accepted,
    Cancel,
    Command,
    Compensate,
    Compensated,
    Context,
    End,
    Event,
    Later,
    Process,
    Refused,
    Rejected,
    Step,
    Tag,
    Timer,
    after,
    at,
    cancel,
    compensate,
    end,
    evolve,
    react,
    replace,
    step,
)
from twofold.errors import InvalidMessage, Unrecoverable
from twofold.messages import encode
from twofold.processes.instances import Instance
from twofold.processes.reading import Definition, plan_of
from twofold.processes.records import CommandSent, CommandSettled, TimerCancelled, TimerDue, TimerSet
from twofold.processes.stepping import Cause, Stepped, as_recorded, take
from twofold.testing import given
from twofold.testing.given import NOON

JobId = Annotated[str, Tag("job")]


class Asked(Event):
    job: JobId
    what: str = ""


class Do(Command):
    job: JobId
    part: int = 1


class Undo(Command):
    job: JobId
    part: int = 1


class Tell(Command):
    job: JobId
    text: str


class Nap(Timer):
    job: JobId


class NotUndone(Rejected):
    """It cannot be undone."""


class Work(Process, key=JobId, start="first", missing="ignore", ended="ignore"):
    heard: tuple[str, ...] = ()

    @evolve
    def asked(self, event: Asked) -> Self:
        return replace(self, heard=(*self.heard, event.what))

    @react(starts=True)
    def begin(
        self, event: Asked, context: Context
    ) -> Iterator[Step[Do, Undo] | Tell | Later[Nap] | Cancel | Compensate | End]:
        job = event.job
        for word in event.what.split():
            name, _, number = word.partition("=")
            match name:
                case "do":
                    yield step(Do(job=job, part=int(number)), undo=Undo(job=job, part=int(number)))
                case "nap":
                    yield after(Nap(job=job), minutes=int(number))
                case "wake":
                    yield cancel(Nap)
                case "undo":
                    yield compensate()
                case "tell":
                    yield Tell(job=job, text=f"{context.new_id()} {context.new_id()} {context.now.isoformat()}")
                case "end":
                    yield end()
                case "odd":
                    yield "odd"  # type: ignore[misc]
                case "bad":
                    yield Tell(job=job, text=7)  # type: ignore[arg-type]

    @react
    def rested(self, timer: Nap) -> Iterator[Tell]:
        yield Tell(job=timer.job, text="rested")

    @react
    def done(self, outcome: Accepted[Do]) -> Iterator[Tell]:
        yield Tell(job=self.key, text=f"done {outcome.command.part}")

    @react
    def not_done(self, outcome: Refused[Do]) -> Iterator[Tell]:
        yield Tell(job=self.key, text=f"not done {outcome.command.part}")

    @react
    def undone(self, event: Compensated) -> Iterator[Tell]:
        yield Tell(job=self.key, text="all undone")


class Lenient(Work, key=JobId, start="first", missing="ignore", ended="ignore"):
    @react
    def not_undone(self, outcome: Refused[Undo]) -> Iterator[Tell]:
        yield Tell(job=self.key, text=f"not undone: {outcome.is_(NotUndone)}")


class Strict(Work, key=JobId, start="first", missing="ignore", ended="park"):
    pass


class Anew(Work, key=JobId, start="first", missing="ignore", ended="start"):
    pass


def asked(what: str) -> Asked:
    return Asked(job="a", what=what)


def do(part: int) -> Do:
    return Do(job="a", part=part)


def undo(part: int) -> Undo:
    return Undo(job="a", part=part)


def tell(text: str) -> Tell:
    return Tell(job="a", text=text)


# Compensation.


def test_steps_are_undone_in_the_reverse_order_of_their_outcomes() -> None:
    """What was done last is undone first, whatever was sent first; one is undone before the next is."""
    given(Work, asked("do=1 do=2 do=3"), Accepted(do(2)), Accepted(do(3)), Accepted(do(1))).when(asked("undo")).sends(
        undo(1)
    ).when(Accepted(undo(1))).sends(undo(3)).when(Accepted(undo(3))).sends(undo(2)).when(Accepted(undo(2))).sends(
        tell("all undone")
    )


def test_what_is_under_way_is_waited_for_and_not_reacted_to() -> None:
    """Its undoing is the first; a step that was refused needs none."""
    undoing = given(Work, asked("do=1 do=2 do=3"), Accepted(do(1))).when(asked("undo")).sends()
    undoing.when(Refused(do(2), "No")).sends().when(Accepted(do(3))).sends(undo(3)).when(Accepted(undo(3))).sends(
        undo(1)
    )


def test_a_step_that_is_taken_while_all_is_undone_is_undone_too() -> None:
    """Until the end of it, whatever can be undone is."""
    undoing = given(Work, asked("do=1"), Accepted(do(1)), asked("undo")).when(asked("do=2")).sends(do(2))
    undoing.when(Accepted(undo(1))).sends().when(Accepted(do(2))).sends(undo(2)).when(Accepted(undo(2))).sends(
        tell("all undone")
    )


def test_compensating_twice_is_compensating_once() -> None:
    """A second reason to undo everything changes nothing of it."""
    given(Work, asked("do=1"), Accepted(do(1)), asked("undo")).when(asked("undo")).sends().when(
        Accepted(undo(1))
    ).sends(tell("all undone"))


def test_where_nothing_was_done_all_is_undone_at_once() -> None:
    """And what is done after that is another matter."""
    given(Work, asked("")).when(asked("undo")).sends(tell("all undone")).when(asked("do=1")).sends(do(1)).when(
        Accepted(do(1))
    ).sends(tell("done 1"))


def test_an_undoing_that_is_refused_is_set_aside_and_sent_again_when_that_is_retried() -> None:
    """The next one waits for it: what is done later must not be undone after what was done before."""
    steps = Steps(Work)
    steps.happens(asked("do=1"))
    steps.settles("a/1/0")
    steps.happens(asked("undo"))
    with pytest.raises(Unrecoverable, match=r"'Work/job:a' undoes what it did, and its Undo was refused: NotUndone"):
        steps.settles("a/3/0", rejection="NotUndone")
    again = steps.settles("a/3/0", rejection="NotUndone", attempt=2)
    (sent,) = again.records
    assert isinstance(sent, CommandSent)
    assert (sent.id, sent.command) == ("Work/job:a/5/0", "Undo")
    assert again.instance.waiting.undoing == sent.id


def test_a_process_can_go_on_without_an_undoing() -> None:
    """If it reacts to the refusal, that is all that becomes of it, and the next undoing is sent."""
    undoing = given(Lenient, asked("do=1 do=2"), Accepted(do(1)), Accepted(do(2)), asked("undo"))
    undoing.when(Refused(undo(2), "NotUndone")).sends(tell("not undone: True"), undo(1))


def test_who_ends_while_it_compensates_ends_when_all_is_undone() -> None:
    """What is half undone would be left so; and whoever undoes everything and ends need not wait for that by himself."""
    done = given(Work, asked("do=1"), Accepted(do(1)))
    ending = done.when(asked("undo end")).sends(undo(1))
    with pytest.raises(AssertionError, match="has not ended"):
        ending.ends()
    ending.when(Accepted(undo(1))).sends(tell("all undone")).ends().when(asked("do=2")).sends()
    done.when(asked("undo")).when(asked("end")).when(Accepted(undo(1))).sends(tell("all undone")).ends()
    given(Work, asked("")).when(asked("undo end")).sends(tell("all undone")).ends()


# Timers.


def test_of_one_class_there_is_one_timer_and_setting_it_again_moves_it() -> None:
    """The old time passes without anything."""
    moved = given(Work, asked("nap=10")).when(asked("nap=30")).schedules(after(Nap(job="a"), minutes=30))
    moved.after(minutes=29).sends().after(minutes=1).sends(tell("rested")).after(days=9).sends()


def test_a_timer_that_was_taken_back_does_not_come() -> None:
    """Taking back what is not there is nothing."""
    given(Work, asked("nap=10")).when(asked("wake")).cancels(Nap).after(days=1).sends()
    given(Work, asked("")).when(asked("wake")).cancels()


def test_a_timer_that_came_due_before_it_was_moved_is_not_told_twice() -> None:
    """Both are in the log; by then the process counts on the new time."""
    steps = Steps(Work)
    (first,) = steps.happens(asked("nap=10")).records
    (second,) = steps.happens(asked("nap=30")).records
    assert isinstance(first, TimerSet)
    assert isinstance(second, TimerSet)
    assert first.id == second.id == "Work/job:a/Nap"
    assert steps.comes_due(first) is None
    assert steps.comes_due(second) is not None
    assert steps.comes_due(second) is None


def test_the_end_takes_timers_back_and_ends_the_concern_in_outcomes() -> None:
    """What comes later finds nobody, and that is no error."""
    steps = Steps(Work)
    (_, timer) = steps.happens(asked("do=1 nap=10")).records
    ended = steps.happens(asked("end"))
    assert [type(each) for each in ended.records][:1] == [TimerCancelled]
    assert isinstance(timer, TimerSet)
    assert steps.comes_due(timer) is None
    assert steps.settles_late("a/1/0") is None


@pytest.mark.parametrize("due", [timedelta(0), timedelta(minutes=-1)])
def test_a_timer_is_set_for_later(due: timedelta) -> None:
    """No time at all is a mistake, and so is one without a zone."""
    with pytest.raises(ValueError, match="Say how much later"):
        after(Nap(job="a"), seconds=due.total_seconds())
    with pytest.raises(ValueError, match="has no zone"):
        at(Nap(job="a"), datetime(2026, 1, 1))  # noqa: DTZ001
    assert at(Nap(job="a"), NOON).due == NOON.astimezone(UTC)


# What is declared about the end, and what is wrong.


def test_an_instance_that_has_ended_takes_no_part() -> None:
    """What comes is left out, parked, or begins it anew, as its class says."""
    over = given(Work, asked("do=1 end")).when(asked("tell")).sends()
    assert over.state("a").heard == ("do=1 end",)
    with pytest.raises(
        Unrecoverable, match=r"Asked is about 'Strict/job:a', which has ended; that such events are parked"
    ):
        given(Strict, asked("end")).when(asked(""))
    anew = given(Anew, asked("do=1 end")).when(asked("do=2")).sends(do(2))
    assert anew.state("a").heard == ("do=2",)


def test_what_the_context_says_is_the_same_when_the_step_is_made_again() -> None:
    """Time is the event's, and ids are made of the instance and the event."""
    begun = given(Work).when(asked("tell"))
    begun.sends(tell(f"Work/job:a/1/id-0 Work/job:a/1/id-1 {NOON.isoformat()}"))


def test_what_is_yielded_is_what_is_announced() -> None:
    """Anything else is a mistake in the reaction; what does not fit its type is, too."""
    with pytest.raises(TypeError, match=r"begin \(.*\) yields 'odd', which its annotation does not say"):
        given(Work).when(asked("odd"))
    with pytest.raises(TypeError, match=r"begin \(.*\) yields .* after the end\. Yield end\(\) last"):
        given(Work).when(asked("end do=1"))
    with pytest.raises(InvalidMessage, match=r"Tell: Expected `str`, got `int`"):
        given(Work).when(asked("bad"))


def test_what_was_recorded_counts_and_not_what_the_code_of_today_would_send() -> None:
    """A step that is made again waits for the outcomes of what was sent the first time."""
    steps = Steps(Work)
    before = steps.happens(asked("do=1 do=2 nap=10"))
    steps = Steps(Work)
    today = steps.happens(asked("do=1 tell nap=20 end"))
    cause = Cause("Work/job:a", "works", 1, 0)
    made = as_recorded(today, before.records, cause)
    assert made.records == before.records
    assert not made.instance.ended
    assert made.instance.waiting.sent.keys() == {"Work/job:a/1/0", "Work/job:a/1/1"}
    assert made.instance.waiting.timers == before.instance.waiting.timers
    assert as_recorded(before, before.records, cause) is before


class Steps:
    """An instance of the key a, told of one record after the other, each a second after the last."""

    def __init__(self, process: type[Process]) -> None:
        self._definition = Definition((plan_of(process),))
        self._name = plan_of(process).name
        self._instance: Instance | None = None
        self._position = 0

    def happens(self, event: Event) -> Stepped:
        return self._taken(event)

    def settles(self, id: str, rejection: str = "", attempt: int = 1) -> Stepped:
        return self._taken(self._settled(id, rejection), attempt)

    def settles_late(self, id: str) -> Stepped | None:
        return self._take(self._settled(id, ""), 1)

    def comes_due(self, timer: TimerSet) -> Stepped | None:
        return self._take(TimerDue(id=timer.id, due_us=timer.due_us, kind=timer.kind, data=timer.data), 1)

    def _settled(self, id: str, rejection: str) -> CommandSettled:
        assert self._instance is not None
        id = f"{self._name}/job:{id}"
        command = "Undo" if id == self._instance.waiting.undoing else "Do"
        data = msgspec.Raw(encode({"job": "a", "part": 1}))
        return CommandSettled(id=id, service="works", command=command, data=data, rejection=rejection)

    def _taken(self, record: Any, attempt: int = 1) -> Stepped:
        stepped = self._take(record, attempt)
        assert stepped is not None
        return stepped

    def _take(self, record: Any, attempt: int) -> Stepped | None:
        self._position += 1
        cause = Cause(f"{self._name}/job:a", "works", self._position, self._position * 1_000_000, attempt=attempt)
        stepped = take(self._definition, self._instance, record, "a", cause)
        if stepped is not None:
            self._instance = stepped.instance
        return stepped
