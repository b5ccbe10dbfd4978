"""Oracles for timers and schedules: each comes due once, as it was set, and not before its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from twofold.clock import moment
from twofold.declaration import Declaration
from twofold.log import RecordedEvent, recordable
from twofold.messages import Command, Event
from twofold.processes import CommandSent, Schedule, TimerCancelled, TimerDue, TimerSet, sent
from twofold.simulation.concerned import as_read
from twofold.simulation.violations import Violation

_TYPES: Mapping[str, type[Event]] = {each.message_name: each for each in (TimerSet, TimerCancelled, TimerDue)}


def pending_timers(events: Iterable[RecordedEvent]) -> dict[str, TimerSet]:
    """Return the timers that a log says are still to come due, by their ids."""
    pending: dict[str, TimerSet] = {}
    for _, record in _records(events):
        if isinstance(record, TimerSet):
            pending[record.id] = record
        else:
            pending.pop(record.id, None)
    return pending


def timer_violations(
    now: Declaration, events: Sequence[RecordedEvent], *, clocks_are_right: bool
) -> Iterator[Violation]:
    """Yield what is wrong with the timers of a service.

    When one is due is said by the clock of the process that appends it. If that may be set back meanwhile, it can be early.
    """
    pending: dict[str, TimerSet] = {}
    for event, record in _records(events):
        if isinstance(record, TimerDue):
            where = f"{now.name}, {record.id}, position {event.position}"
            timer = pending.pop(record.id, None)
            if timer is None or _content(timer) != _content(record):
                yield Violation("A timer comes due once, as it was set.", where, repr(timer), repr(record))
                continue
            if clocks_are_right and event.recorded_at_us < timer.due_us:
                yield Violation("A timer is not early.", where, f"{timer.due_us} or later", f"{event.recorded_at_us}")
            if timer.command is not None:
                yield from _of_delayed(timer.command, events[event.position : event.position + 1], where)
        elif isinstance(record, TimerSet):
            pending[record.id] = record
        else:
            pending.pop(record.id, None)


def _records(events: Iterable[RecordedEvent]) -> Iterator[tuple[RecordedEvent, Any]]:
    for event in events:
        if kind := _TYPES.get(event.type):
            yield event, as_read(kind, event.version, event.data)


def _content(timer: TimerSet | TimerDue) -> tuple[Any, ...]:
    return timer.due_us, timer.kind, timer.data, timer.instance


def _of_delayed(command: CommandSent, following: Sequence[RecordedEvent], where: str) -> Iterator[Violation]:
    found = [each.data for each in following if each.type == CommandSent.message_name]
    if found != [recordable(command, "", b"").new.data]:
        yield Violation("A delayed command is sent when its timer is due.", where, repr(command), repr(found))


# Schedules.


def schedule_violations(now: Declaration, events: Sequence[RecordedEvent], *, is_complete: bool) -> Iterator[Violation]:
    """Yield which ticks of schedules have not sent their commands, each once, or have sent others."""
    expected = scheduled_commands(now, events)
    found: dict[str, list[CommandSent]] = {}
    for event in events:
        if event.type == CommandSent.message_name:
            record = as_read(CommandSent, event.version, event.data)
            if record.id.startswith("schedule/"):
                found.setdefault(record.id, []).append(record)
    for id in {**expected, **found}:
        wanted, there = expected.get(id), found.get(id, [])
        if there != ([wanted] if wanted else []) and (there or is_complete):
            yield Violation(
                "A schedule sends its commands once for a tick.", f"{now.name}, {id}", repr(wanted), repr(there)
            )


def scheduled_commands(now: Declaration, events: Sequence[RecordedEvent]) -> dict[str, CommandSent]:
    """Return the commands that follow from the ticks of schedules in a log, by their ids."""
    schedules: Mapping[str, Schedule] = {f"schedule/{each.name}": each for each in now.schedules}
    made = {}
    for event, record in _records(events):
        if isinstance(record, TimerDue) and record.id in schedules:
            for ordinal, command in enumerate(_ticked(schedules[record.id], record.due_us, event)):
                id = f"{record.id}/{event.position}/{ordinal}"
                made[id] = sent(command, id, now.name)
    return made


def _ticked(schedule: Schedule, due_us: int, event: RecordedEvent) -> Iterator[Command]:
    for tick in schedule.ticks(moment(due_us), event.recorded_at):
        yielded = schedule.function(tick)
        if isinstance(yielded, Command):
            yield yielded
        else:
            yield from yielded or ()
