"""Given what a process was told, when it is told more, then these commands and timers follow: tests of processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec

from twofold.clock import microseconds, moment
from twofold.log import recordable
from twofold.messages import Command, Event, decode, encode, received
from twofold.processes.effects import Later
from twofold.processes.instances import Instance, instance_id
from twofold.processes.outcomes import Accepted, Compensated, Refused
from twofold.processes.process import Process
from twofold.processes.reading import Definition, plan_of
from twofold.processes.records import CommandSent, CommandSettled, ProcessEnded, TimerCancelled, TimerDue, TimerSet
from twofold.processes.stepping import Cause, take
from twofold.processes.timers import Timer
from twofold.testing.comparison import comparison

_SERVICE = "tested"


class Told(msgspec.Struct, frozen=True):
    """What became of a process so far: its instances, and what followed from what it was last told."""

    process: type[Process]
    at_us: int
    position: int = 0
    instances: Mapping[str, Instance] = {}
    sent: Mapping[str, tuple[str, Command]] = {}
    timers: Mapping[str, TimerSet] = {}
    records: tuple[Event, ...] = ()

    @property
    def definition(self) -> Definition:
        """The process as a service has it that has nothing else."""
        return Definition((plan_of(self.process),))


class GivenProcess:
    """A process and what it was told before."""

    def __init__(self, told: Told) -> None:
        self._told = told

    @classmethod
    def of(cls, process: type[Process], happened: Iterable[Any], at: datetime) -> GivenProcess:
        """Return a process that was told all of this at one time."""
        told = Told(process, microseconds(at))
        for each in happened:
            told = _told(told, each)
        return GivenProcess(told)

    def when(self, happened: Any) -> WhenProcess:
        """Tell the process of an event, of the outcome of a command that it has sent, or of a timer that it has set.

        Raises:
            AssertionError: it is never told of such, or has not sent or set what this is about.
            Exception: whatever would be parked.
        """
        return WhenProcess(_told(msgspec.structs.replace(self._told, records=()), happened))

    def after(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> WhenProcess:
        """Let so much time pass: the timers that are due by then come, each at its time."""
        passed = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        until_us = self._told.at_us + passed // timedelta(microseconds=1)
        told = msgspec.structs.replace(self._told, records=())
        while due := [each for each in told.timers.values() if each.due_us <= until_us]:
            first = min(due, key=lambda each: each.due_us)
            told = msgspec.structs.replace(told, at_us=max(first.due_us, told.at_us))
            told = _come_due(told, first)
        return WhenProcess(msgspec.structs.replace(told, at_us=until_us))

    def state(self, key: Any) -> Any:
        """Return the state of the instance of a key.

        Raises:
            AssertionError: there is none.
        """
        plan = plan_of(self._told.process)
        found = self._told.instances.get(plan.key.of(key))
        if found is None:
            raise AssertionError(f"There is no {plan.name} of {key!r}. Give an event that starts it.")
        return found.state


class WhenProcess(GivenProcess):
    """What a process has made of what it was last told."""

    def sends(self, *commands: Command) -> Self:
        """Check that exactly these commands were sent, in this order; none at all if none is named.

        Raises:
            AssertionError: others were.
        """
        found = [_command(self._told, each) for each in self._told.records if isinstance(each, CommandSent)]
        return self._same("sends other commands.", commands, found)

    def schedules(self, *timers: Later[Any]) -> Self:
        """Check that exactly these timers were set, in this order: ``schedules(after(Deadline(order="7"), minutes=30))``.

        Raises:
            AssertionError: others were, or for other times.
        """
        expected = [_due(each, self._told.at_us) for each in timers]
        kinds = plan_of(self._told.process).timers
        found = [
            Later(decode(kinds[each.kind], bytes(each.data)), moment(each.due_us))
            for each in self._told.records
            if isinstance(each, TimerSet)
        ]
        return self._same("sets other timers.", expected, found)

    def cancels(self, *timers: type[Timer]) -> Self:
        """Check that the timers of exactly these classes were taken back, in this order.

        Raises:
            AssertionError: others were.
        """
        found = [each.id.rpartition("/")[2] for each in self._told.records if isinstance(each, TimerCancelled)]
        return self._same("takes back other timers.", [each.message_name for each in timers], found)

    def ends(self) -> Self:
        """Check that an instance has ended.

        Raises:
            AssertionError: none has.
        """
        if not any(isinstance(each, ProcessEnded) for each in self._told.records):
            raise AssertionError(f"{self._told.process.__name__} has not ended. It does by `yield end()`.")
        return self

    def _same(self, what: str, expected: Iterable[Any], found: Iterable[Any]) -> Self:
        expected, found = list(expected), list(found)
        if expected != found:
            raise AssertionError(comparison(f"{self._told.process.__name__} {what}", expected, found))
        return self


def _due(later: Later[Any], now_us: int) -> Later[Any]:
    due = moment(now_us) + later.due if isinstance(later.due, timedelta) else later.due
    return Later(later.timer, moment(microseconds(due)))


def _command(told: Told, record: CommandSent) -> Command:
    return decode(plan_of(told.process).commands[record.command], bytes(record.data))


# Telling.


def _told(told: Told, happened: Any) -> Told:
    if isinstance(happened, Accepted | Refused):
        return _settle(told, happened)
    if isinstance(happened, Timer):
        found = [each for each in told.timers.values() if each.data == _data(happened)]
        found = [each for each in found if each.kind == type(happened).message_name]
        if not found:
            raise _unknown(told, happened, "has not set that timer")
        return _come_due(told, found[0])
    if isinstance(happened, Compensated):
        raise _unknown(told, happened, "is told that by itself, when the outcome of the last undoing comes")
    return _happen(told, happened)


def _happen(told: Told, event: Event) -> Told:
    plan = plan_of(told.process)
    if type(event) not in plan.events.values():
        raise _unknown(told, event, f"is told of {', '.join(plan.events)}")
    event = recordable(event, "", b"").event
    for key in plan.key.finder(type(event))(event):
        told = _step(told, plan.key.of(key), event, key)
    return told


def _settle(told: Told, outcome: Accepted[Any] | Refused[Any]) -> Told:
    command = received(outcome.command)
    for id, (key, sent) in told.sent.items():
        if sent == command:
            left = {other: each for other, each in told.sent.items() if other != id}
            refused = outcome if isinstance(outcome, Refused) else Refused(command, "")
            record = CommandSettled(
                id=id, service=_SERVICE, command=type(command).message_name, data=msgspec.Raw(encode(command)),
                instance=instance_id(plan_of(told.process).name, key), rejection=refused.rejection, reason=refused.reason,
                arguments=list(refused.arguments),
            )  # fmt: skip
            return _step(msgspec.structs.replace(told, sent=left), key, record)
    raise _unknown(told, outcome, "has not sent that command, or knows its outcome already")


def _come_due(told: Told, timer: TimerSet) -> Told:
    left = {id: each for id, each in told.timers.items() if id != timer.id}
    record = TimerDue(id=timer.id, due_us=timer.due_us, kind=timer.kind, data=timer.data, instance=timer.instance)
    key = str(timer.instance).partition("/")[2]
    return _step(msgspec.structs.replace(told, timers=left), key, record)


def _step(told: Told, key: str, record: Event, value: Any = None) -> Told:
    position = told.position + 1
    cause = Cause(instance_id(told.definition.name, key), _SERVICE, position, told.at_us)
    stepped = take(told.definition, told.instances.get(key), record, value, cause)
    told = msgspec.structs.replace(told, position=position)
    if stepped is None:
        return told
    sent, timers = dict(told.sent), dict(told.timers)
    for each in stepped.records:
        if isinstance(each, CommandSent):
            sent[each.id] = (key, _command(told, each))
        elif isinstance(each, TimerSet):
            timers[each.id] = each
        elif isinstance(each, TimerCancelled):
            timers.pop(each.id, None)
    instances = {**told.instances, key: stepped.instance}
    return msgspec.structs.replace(
        told, instances=instances, sent=sent, timers=timers, records=(*told.records, *stepped.records)
    )


def _data(timer: Timer) -> msgspec.Raw:
    return msgspec.Raw(encode(received(timer)))


def _unknown(told: Told, happened: Any, why: str) -> AssertionError:
    return AssertionError(f"{told.process.__name__} is told of {happened!r}, and {why}.")
