"""The follower of schedules: when one is due, its commands go into the log, and with them when it is due again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from twofold.clock import Clock, microseconds, moment
from twofold.followers import EventFailed, FollowerStore, KeyedHandler, checkpoints, retries
from twofold.limits import HandlerLimits
from twofold.log import Criterion, Guard, Log, RecordedEvent
from twofold.messages import Command, Event, Tag, encode, reader, source_location
from twofold.processes.recording import own_id, record
from twofold.processes.records import TimerDue, TimerSet
from twofold.processes.schedules import Schedule, Tick
from twofold.processes.sending import sent

SCHEDULES = "schedules"
_KIND = "twofold.Schedule"
_TAG = Tag("twofold.timer")
_OF_A_TIMER = (TimerSet.message_name, TimerDue.message_name)


class _Definition(msgspec.Struct, frozen=True):
    """What a schedule's times depend on, as its timer keeps it: if that has changed, it is set anew."""

    expression: str
    zone: str


class ScheduleHandler(KeyedHandler):
    """Runs the functions of schedules that have come due, each once for a tick.

    What they yield is appended together with the timer of the next tick, under an id of this one.
    """

    name = SCHEDULES
    criteria = (Criterion(types=(TimerDue.message_name,)),)

    def __init__(
        self, service: str, schedules: Collection[Schedule], log: Log, store: FollowerStore, clock: Clock,
        limits: HandlerLimits,
    ) -> None:  # fmt: skip
        super().__init__(log, store, clock, retries(), limits)
        self._service = service
        self._schedules = {each.name: each for each in schedules}

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        due = reader(TimerDue, event.version)(event.data)
        # One that is no longer declared has ticked for the last time.
        return [due.id] if due.kind == _KIND and _name(due.id) in self._schedules else []

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        due = reader(TimerDue, event.version)(event.data)
        schedule = self._schedules[_name(due.id)]
        try:
            records = self._records(schedule, due, event)
        except Exception as error:
            raise EventFailed(event.position, key, error) from error
        # If the schedule has been changed meanwhile, its timer has been set already.
        await record(self._log, records, own_id(due.id, event.position), self._clock, event.encoded_metadata)

    def _records(self, schedule: Schedule, due: TimerDue, event: RecordedEvent) -> list[Event]:
        commands = [
            command
            for tick in schedule.ticks(moment(due.due_us), event.recorded_at)
            for command in _yielded(schedule, tick)
        ]
        records: list[Event] = [
            sent(command, f"{due.id}/{event.position}/{ordinal}", self._service)
            for ordinal, command in enumerate(commands)
        ]
        if _definition_of(due.data) == _definition(schedule):
            # A clock may have been set back since it came due: its own time is not its next one.
            records.append(_timer(schedule, max(due.due_us, event.recorded_at_us)))
        return records


async def begin_schedules(schedules: Iterable[Schedule], log: Log, store: FollowerStore, clock: Clock) -> None:
    """Set the timers of schedules that are new, or have other times than they had, or were not declared for a while.

    Raises:
        LogUnavailable: the log cannot be used now.
        SettingsError: what finds their times is not installed.
    """
    for schedule in schedules:
        criteria = (Criterion(types=_OF_A_TIMER, tags=(_TAG.of(_id(schedule)),)),)
        known = await log.read(criteria, backwards=True, limit=1)
        if not known or await _is_to_be_set(schedule, known[0], store):
            # Where two processes start at the same time, one of them sets it.
            position = known[0].position if known else 0
            timer = _timer(schedule, clock.now_us())
            await record(log, [timer], own_id(timer.id, "after", position), clock, b"{}", Guard(criteria, position))


async def _is_to_be_set(schedule: Schedule, last: RecordedEvent, store: FollowerStore) -> bool:
    """Say whether a schedule's timer has to be set, by the last that the log has of it."""
    if last.type == TimerSet.message_name:
        return _definition_of(reader(TimerSet, last.version)(last.data).data) != _definition(schedule)
    # It has come due, and who follows sets it again, unless it has passed by when nothing was declared.
    return await checkpoints.position(store, SCHEDULES) >= last.position


def _timer(schedule: Schedule, after_us: int) -> TimerSet:
    due_us = microseconds(schedule.next_after(moment(after_us)))
    return TimerSet(id=_id(schedule), due_us=due_us, kind=_KIND, data=msgspec.Raw(encode(_definition(schedule))))


def _definition(schedule: Schedule) -> _Definition:
    return _Definition(schedule.expression, schedule.zone)


def _definition_of(data: msgspec.Raw) -> _Definition:
    return msgspec.json.decode(data, type=_Definition)


def _id(schedule: Schedule) -> str:
    return f"schedule/{schedule.name}"


def _name(id: str) -> str:
    return id.removeprefix("schedule/")


def _yielded(schedule: Schedule, tick: Tick) -> Iterator[Command]:
    yielded = schedule.function(tick)
    for command in (yielded,) if isinstance(yielded, Command) else yielded or ():
        if type(command) not in schedule.commands:
            raise TypeError(
                f"{source_location(schedule.function)} yields {command!r}, and its annotation does not say so. Add it there."
            )
        yield command
