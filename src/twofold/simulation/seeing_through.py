"""An oracle for processes: each step is taken again on what the log tells, and has to come to the same, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from twofold.declaration import Declaration
from twofold.log import NewEvent, RecordedEvent, recordable
from twofold.messages import Event
from twofold.processes import CommandSent, CommandSettled, Definition, ProcessEnded, ProcessInstance, TimerDue, TimerSet
from twofold.processes.instances import Instance, Undo, instance_id, instance_key, key_text
from twofold.processes.keeping import row_of
from twofold.processes.stepping import Cause, take
from twofold.simulation.concerned import as_read
from twofold.simulation.disks import Commit
from twofold.simulation.followed import Reach, began
from twofold.simulation.viewing import rows_of
from twofold.simulation.violations import Violation
from twofold.views import ViewStore, layout

_PREFIX = "twofold/process/"


def process_violations(
    now: Declaration, events: Sequence[RecordedEvent], commits: Sequence[Commit], store: ViewStore
) -> Iterator[Violation]:
    """Yield what is wrong with the processes of a service, wherever their followers stand. The store answers at once."""
    appended = {each.append.id: each for each in commits if each.append.id.startswith(_PREFIX)}
    rows = rows_of(store, layout(ProcessInstance)) if now.processes else {}
    for definition in now.processes:
        reach = Reach(definition.follower, store)
        lives = [*_Retold(definition, now, events).lives()]
        for life in lives:
            reached = reach.of(life.key)
            yield from _of_steps(now.name, life, appended, reached)
            yield from _of_row(now.name, life, rows.get(life.id), reached)
            yield from _of_undoing(now.name, life)
        known = {f"{_PREFIX}{life.id}/{step.position}" for life in lives for step in life.steps if step.records}
        for id, commit in appended.items():
            if id.startswith(f"{_PREFIX}{definition.name}/") and id not in known:
                yield Violation(
                    "What a process sends follows from a step.", f"{now.name}, position {commit.outcome.last}", "nothing",
                    f"{id}: {_told(commit.append.events)}",
                )  # fmt: skip


class Taken(msgspec.Struct, frozen=True):
    """A step of an instance: where its event is, the instance before and after it, and the records that it comes to."""

    position: int
    event: Event
    before: Instance | None
    after: Instance
    records: Sequence[Event]


class _Life:
    """An instance, by the name that it has and the key by which it is ordered, with all of its steps."""

    def __init__(self, definition: Definition, key: str) -> None:
        self.definition = definition
        self.key = key
        self.id = instance_id(definition.name, key)
        self.steps: list[Taken] = []
        self.is_stuck = False
        """Whether a step has failed, so that nothing comes after it."""

    @property
    def instance(self) -> Instance | None:
        """What it has become."""
        return self.steps[-1].after if self.steps else None

    def take(self, service: str, event: RecordedEvent, read: Event, key: Any) -> None:
        """Take the step for an event, if there is one."""
        cause = Cause(self.id, service, event.position, event.recorded_at_us, event.metadata.caused(event.id))
        before = self.instance
        try:
            stepped = take(self.definition, before, read, key, cause)
        except Exception:
            # It is parked, which others judge.
            self.is_stuck = True
            return
        if stepped is not None:
            self.steps.append(Taken(event.position, read, before, stepped.instance, stepped.records))


class _Retold:
    """All that a log tells the instances of a process, in order."""

    def __init__(self, definition: Definition, now: Declaration, events: Sequence[RecordedEvent]) -> None:
        self._definition = definition
        self._service = now.name
        self._events = events[began(now, definition.follower, events) :]
        records: list[type[Event]] = [
            TimerDue,
            CommandSettled,
            *[each for each in now.hears if issubclass(each, CommandSettled)],
        ]
        self._kinds = {**definition.events, **{each.message_name: each for each in records}}
        self._finders = {name: definition.latest.key.finder(kind) for name, kind in definition.events.items()}
        self._lives: dict[str, _Life] = {}

    def lives(self) -> list[_Life]:
        """Return every instance that there has been, or could have been."""
        for event in self._events:
            if kind := self._kinds.get(event.type):
                for text, key, read in self._concerned(event, kind):
                    life = self._lives.setdefault(text, _Life(self._definition, text))
                    if not life.is_stuck:
                        life.take(self._service, event, read, key)
        return [*self._lives.values()]

    def _concerned(self, event: RecordedEvent, kind: type[Event]) -> Iterator[tuple[str, Any, Any]]:
        """Yield the texts of the keys of whom an event is for, the keys as far as they are known, and the event."""
        try:
            read: Any = as_read(kind, event.version, event.data)
        except Exception:
            # It does not fit its class, and is parked.
            return
        if isinstance(read, CommandSettled) and read.service != self._service:
            return
        if isinstance(read, TimerDue | CommandSettled):
            if text := key_text(read.instance or "", self._definition.name):
                yield text, None, read
            return
        for key in self._finders[event.type](read):
            yield instance_key(self._definition.latest.key.of(key)), key, read


def _of_steps(service: str, life: _Life, appended: Mapping[str, Commit], reached: int) -> Iterator[Violation]:
    for step in life.steps:
        # It is made up here, and not by the code that is judged: what is appended once has an id of the event's position.
        commit = appended.get(f"{_PREFIX}{life.id}/{step.position}")
        where = f"{service}, {life.id}, told of position {step.position}"
        made = [recordable(each, "", b"").new for each in step.records]
        if commit is None:
            if made and step.position <= reached:
                yield Violation("What a process sends is in the log.", where, _told(made), "nothing")
        elif [*map(_as_kept, commit.append.events)] != [*map(_as_kept, made)]:
            yield Violation(
                "A step of a process follows from what it is told.", where, _told(made), _told(commit.append.events)
            )


def _of_row(service: str, life: _Life, row: ProcessInstance | None, reached: int) -> Iterator[Violation]:
    """Judge what is kept of an instance: what it was after some step, and none that was handled is missing."""
    past = {step.position: row_of(life.definition.name, step.after) for step in life.steps}
    needed = max([position for position in past if position <= reached], default=0)
    if (row is None and needed) or (row is not None and (row.position < needed or past.get(row.position) != row)):
        position = max(needed, row.position if row else 0)
        yield Violation(
            "An instance is what its steps have made of it.", f"{service}, {life.id} at {reached}",
            repr(past.get(position)), repr(row),
        )  # fmt: skip


def _of_undoing(service: str, life: _Life) -> Iterator[Violation]:
    """Judge whether each undoing is that of the last step which was accepted and is not undone."""
    done: list[Undo] = []
    for step in life.steps:
        before, told = step.before, step.event
        if before is None or before.ended:
            done = []
        elif isinstance(told, CommandSettled) and not told.rejection and told.id != before.waiting.undoing:
            sent = before.waiting.sent[told.id]
            done += [sent.undo] if sent.undo else []
        for record in step.records:
            if isinstance(record, CommandSent) and record.id == step.after.waiting.undoing:
                expected = done.pop() if done else None
                if expected is None or (expected.command, expected.data) != (record.command, record.data):
                    yield Violation(
                        "What was done last is undone first.", f"{service}, {life.id}, told of position {step.position}",
                        repr(expected), repr(record),
                    )  # fmt: skip


def ending_violations(now: Declaration, events: Sequence[RecordedEvent]) -> Iterator[Violation]:
    """Yield what instances have sent after their end, where nothing is declared to start them anew."""
    once = {each.name for each in now.processes if not _starts_anew(each)}
    ended: dict[str, int] = {}
    for event in events:
        kind = _SENT.get(event.type)
        if kind is None:
            continue
        read: Any = as_read(kind, event.version, event.data)
        instance: str = read.instance or ""
        if instance in ended:
            yield Violation(
                "A process that has ended sends nothing more.", f"{now.name}, {instance}", f"the end at {ended[instance]}",
                f"{event.type} at {event.position}",
            )  # fmt: skip
        if isinstance(read, ProcessEnded) and instance.partition("/")[0] in once:
            ended[instance] = event.position


_SENT: Mapping[str, type[Event]] = {each.message_name: each for each in (CommandSent, TimerSet, ProcessEnded)}


def _starts_anew(definition: Definition) -> bool:
    reactions = [each for plan in definition.plans for each in plan.reactions.values()]
    return any(each.starts and each.ended == "start" for each in reactions)


def _as_kept(event: NewEvent) -> tuple[str, int, tuple[str, ...], bytes]:
    return event.type, event.version, event.tags, event.data


def _told(events: Sequence[NewEvent]) -> str:
    return ", ".join([f"{each.type} {each.data.decode()}" for each in events]) or "nothing"
