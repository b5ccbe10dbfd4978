"""The step of a process, which is pure: an instance and what has happened in, the next instance and records out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal

import msgspec

from twofold.clock import microseconds
from twofold.commands import Context
from twofold.errors import Unrecoverable
from twofold.messages import Command, Event, Metadata, decode, decoder, encode, received, source_location
from twofold.processes.effects import Cancel, Compensate, End, Later, Step
from twofold.processes.instances import Instance, Sent, Undo, Waiting
from twofold.processes.outcomes import Accepted, Compensated, Refused
from twofold.processes.reading import Definition, Plan, Reaction, subject_of
from twofold.processes.records import CommandSent, CommandSettled, ProcessEnded, TimerCancelled, TimerDue, TimerSet
from twofold.processes.sending import sent
from twofold.processes.timers import Timer, check_due


class Cause(msgspec.Struct, frozen=True):
    """The circumstances of a step: the instance, where in the log its event is and since when, how often it has been tried."""

    instance: str
    service: str
    position: int
    recorded_at_us: int
    metadata: Metadata = Metadata()
    attempt: int = 1

    @property
    def id(self) -> str:
        """The beginning of the ids of all that the step sends."""
        return f"{self.instance}/{self.position}"


class Stepped(msgspec.Struct, frozen=True):
    """What a step has come to: the instance after it, and the records that are to be appended.

    ``unheard`` is the refusal of a command, if nothing in the process is for that.
    """

    instance: Instance
    records: tuple[Event, ...] = ()
    unheard: Refused[Any] | None = None


def take(definition: Definition, instance: Instance | None, record: Event, key: Any, cause: Cause) -> Stepped | None:
    """Return what an instance of a process comes to by an event, by the outcome of a command or by a timer; None: it does not.

    Of outcomes and timers, ``record`` is what the log has of them. The ``key`` is for an event that may start an instance.

    Raises:
        Unrecoverable: the event finds no instance, or one that has ended, and is declared to be parked then; or the undoing of
            a step was refused.
        Exception: what a step or a reaction has raised.
    """
    is_event = not isinstance(record, CommandSettled | TimerDue)
    if instance is None or instance.ended:
        if not is_event:
            # It comes late, and concerns nobody.
            return None
        instance = _started(definition.latest, instance, record, key, cause)
        if instance is None:
            return None
    return _taken(definition.plan(instance.version), instance, record, cause)


def _started(plan: Plan, ended: Instance | None, event: Event, key: Any, cause: Cause) -> Instance | None:
    """Return a new instance, if an event starts one that finds none, or one that has ended."""
    subject = subject_of(event)
    if not plan.hears(subject):
        # It is for instances of an earlier version.
        return None
    reaction = plan.reactions.get(subject)
    stray = (
        (reaction.ended if reaction else plan.process.process_ended)
        if ended
        else (reaction.missing if reaction else plan.process.process_missing)
    )
    if reaction is not None and reaction.starts and (ended is None or stray == "start"):
        now_us = cause.recorded_at_us
        return Instance(cause.instance, plan.version, plan.fold.initial(key), Waiting(), now_us, now_us, 0)
    if stray == "park":
        found = "which has ended" if ended else "which has not been started"
        raise Unrecoverable(
            f"{type(event).__name__} is about {cause.instance!r}, {found}; that such events are parked is declared in "
            f"{reaction.where if reaction else source_location(plan.process)}. Discard it, or mend what has led to it."
        )
    return None


def as_recorded(stepped: Stepped, recorded: Sequence[Event], cause: Cause) -> Stepped:
    """Return a step that was made before as it was recorded then, if the code of today has come to something else.

    What was sent is sent, and what was not is not: so that is what the instance waits for.
    """
    if stepped.records == tuple(recorded):
        return stepped
    waiting = stepped.instance.waiting
    own = {each.id for each in stepped.records if isinstance(each, CommandSent)}
    sent = {id: each for id, each in waiting.sent.items() if id not in own}
    timers = dict(waiting.timers)
    for each in stepped.records:
        if isinstance(each, TimerSet):
            timers.pop(each.kind, None)
    for each in recorded:
        if isinstance(each, CommandSent):
            meant = waiting.sent.get(each.id)
            undo = meant.undo if meant is not None and meant.command == each.command else None
            sent[each.id] = Sent(each.command, cause.recorded_at_us, undo)
        elif isinstance(each, TimerSet):
            timers[each.kind] = each.due_us
    undoing = waiting.undoing if waiting.undoing in sent else ""
    waiting = msgspec.structs.replace(waiting, sent=sent, timers=timers, undoing=undoing)
    ended = any(isinstance(each, ProcessEnded) for each in recorded)
    instance = msgspec.structs.replace(stepped.instance, waiting=Waiting() if ended else waiting, ended=ended)
    return Stepped(instance, tuple(recorded))


def _taken(plan: Plan, instance: Instance, record: Event, cause: Cause) -> Stepped | None:
    work = _Work(plan, instance, cause)
    if isinstance(record, CommandSettled):
        is_told = work.settle(record)
    elif isinstance(record, TimerDue):
        is_told = work.come_due(record)
    else:
        is_told = work.tell(record)
    if not is_told:
        return None
    work.go_on_compensating()
    return work.stepped()


class _Work:
    """A step under way."""

    def __init__(self, plan: Plan, instance: Instance, cause: Cause) -> None:
        self._plan = plan
        self._instance = instance
        self._cause = cause
        self._state = instance.state
        waiting = instance.waiting
        self._sent = dict(waiting.sent)
        self._timers = dict(waiting.timers)
        self._undo = list(waiting.undo)
        self._compensates = waiting.compensates
        self._undoing = waiting.undoing
        self._ends = waiting.ends
        self._ended = False
        self._records: list[Event] = []
        self._unheard: Refused[Any] | None = None
        self._ordinals = count()
        self._ids = count()
        self._context = Context(cause.recorded_at_us, self._new_id, cause.metadata)

    def _new_id(self) -> str:
        # It is the same one when the step is made again.
        return f"{self._cause.id}/id-{next(self._ids)}"

    # What has happened.

    def settle(self, record: CommandSettled) -> bool:
        """Take note of a command's outcome, and tell the process of it."""
        found = self._sent.pop(record.id, None)
        if found is None:
            return False
        command = self._command(record.command, record.data)
        outcome: Accepted[Any] | Refused[Any] = Accepted(command)
        if record.rejection:
            outcome = Refused(command, record.rejection, record.reason, tuple(record.arguments))
        if record.id == self._undoing:
            if record.rejection and subject_of(outcome) not in self._plan.reactions:
                return self._undo_again(record, command)
            self._undoing = ""
        elif found.undo is not None:
            if not record.rejection:
                self._undo.append(found.undo)
            if self._compensates:
                # All of it is being undone: nothing else follows from how far it had come.
                return self.tell(outcome, reacts=False)
        if isinstance(outcome, Refused) and not self._plan.hears(subject_of(outcome)):
            self._unheard = outcome
        return self.tell(outcome)

    def _command(self, name: str, data: msgspec.Raw) -> Command:
        kind = self._plan.commands.get(name)
        if kind is None:
            raise Unrecoverable(
                f"{self._cause.instance!r} has sent {name}, and {source_location(self._plan.process)} does not send it any "
                "more. Name it in the annotation of a reaction, and have this retried."
            )
        return decode(kind, bytes(data))

    def _undo_again(self, record: CommandSettled, command: Command) -> bool:
        """Send the undoing that was refused once more if somebody asks for it, and else set it aside."""
        if self._cause.attempt == 1:
            raise Unrecoverable(
                f"{self._cause.instance!r} undoes what it did, and its {record.command} was refused: {record.rejection} "
                f"({record.reason or 'without a reason'}). Mend what keeps it from being undone, and have this retried: it "
                f"is sent again then. Or write @react def …(self, outcome: Refused[{record.command}]): it goes on after that."
            )
        self._undoing = self._send(command, None)
        return True

    def come_due(self, record: TimerDue) -> bool:
        """Tell the process of a timer, unless it has been moved or taken back meanwhile."""
        if self._timers.get(record.kind) != record.due_us or record.kind not in self._plan.timers:
            return False
        del self._timers[record.kind]
        return self.tell(decode(self._plan.timers[record.kind], bytes(record.data)))

    def tell(self, happened: Any, *, reacts: bool = True) -> Literal[True]:
        """Make the next state of what has happened, then have the process react to it."""
        subject = subject_of(happened)
        step = self._plan.steps.get(subject)
        if step is not None:
            following = step[1](self._state, happened)
            self._plan.fold.check(self._state, following, step)
            # In the table it is as JSON: it is what that gives back, whether it was read from there or not.
            self._state = decoder(self._plan.process).decode(encode(following))
        reaction = self._plan.reactions.get(subject)
        if reaction is not None and reacts:
            last = None
            for effect in reaction.call(self._state, happened, self._context):
                if isinstance(last, End):
                    raise TypeError(f"{reaction.where} yields {effect!r:.200} after the end. Yield end() last.")
                self._take_effect(effect, reaction)
                last = effect
        return True

    # What follows from it.

    def _take_effect(self, effect: Any, reaction: Reaction) -> None:
        kind = type(effect.timer) if isinstance(effect, Later) else type(effect)
        if kind not in reaction.yields:
            raise TypeError(
                f"{reaction.where} yields {effect!r:.200}, which its annotation does not say. Add that to what it returns: "
                "-> Iterator[…]."
            )
        if isinstance(effect, Command):
            self._send(effect, None)
        elif isinstance(effect, Step):
            undo = received(effect.undo)
            self._send(effect.command, Undo(type(undo).message_name, msgspec.Raw(encode(undo))))
        elif isinstance(effect, Later):
            self._set(effect.timer, effect.due)
        elif isinstance(effect, Cancel):
            self._cancel(effect.timer.message_name)
        elif isinstance(effect, Compensate):
            self._compensates = True
        elif isinstance(effect, End):
            self._ends = True
            if not self._compensates:
                self._end()

    def _send(self, command: Command, undo: Undo | None) -> str:
        cause = self._cause
        record = sent(command, f"{cause.id}/{next(self._ordinals)}", cause.service, cause.instance)
        self._records.append(record)
        self._sent[record.id] = Sent(record.command, cause.recorded_at_us, undo)
        return record.id

    def _set(self, timer: Timer, due: datetime | timedelta) -> None:
        kind, instance = type(timer).message_name, self._cause.instance
        if isinstance(due, timedelta):
            due_us = self._cause.recorded_at_us + due // timedelta(microseconds=1)
        else:
            due_us = microseconds(due)
        check_due(due_us, timer)
        self._timers[kind] = due_us
        data = msgspec.Raw(encode(received(timer)))
        self._records.append(
            TimerSet(id=_timer_id(instance, kind), due_us=due_us, kind=kind, data=data, instance=instance)
        )

    def _cancel(self, kind: str) -> None:
        if self._timers.pop(kind, None) is not None:
            instance = self._cause.instance
            self._records.append(TimerCancelled(id=_timer_id(instance, kind), instance=instance))

    def _end(self) -> None:
        for kind in [*self._timers]:
            self._cancel(kind)
        self._records.append(ProcessEnded(instance=self._cause.instance, position=self._cause.position))
        self._ended = True

    # Undoing.

    def go_on_compensating(self) -> None:
        """Undo the last of what was done, once nothing is under way; tell the process when nothing is left."""
        while self._compensates and not self._ended and self._waiting.is_settled:
            if self._undo:
                undo = self._undo.pop()
                self._undoing = self._send(self._command(undo.command, undo.data), None)
            else:
                self._compensates = False
                self.tell(Compensated())
                if self._ends and not self._ended:
                    self._end()

    @property
    def _waiting(self) -> Waiting:
        return Waiting(self._sent, self._timers, tuple(self._undo), self._compensates, self._undoing, self._ends)

    def stepped(self) -> Stepped:
        """Return what has come of it."""
        cause = self._cause
        instance = msgspec.structs.replace(
            self._instance,
            state=self._state,
            waiting=Waiting() if self._ended else self._waiting,
            changed_us=cause.recorded_at_us,
            position=cause.position,
            ended=self._ended,
        )
        return Stepped(instance, tuple(self._records), self._unheard)


def _timer_id(instance: str, kind: str) -> str:
    """Return the id of an instance's timer of a class: there is one of each at most."""
    return f"{instance}/{kind}"
