"""What instances of processes are at: their states, what they were told of, what followed from that, what they wait for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias

import msgspec

from twofold.clock import moment
from twofold.declaration import known_events
from twofold.errors import NotFound
from twofold.followers import parking
from twofold.log import Criteria, Criterion, RecordedEvent
from twofold.messages import Event, Tag, reader
from twofold.operations.databases import Databases
from twofold.processes import (
    CommandSent,
    CommandSettled,
    Definition,
    ProcessEnded,
    ProcessInstance,
    TimerCancelled,
    TimerDue,
    TimerSet,
)
from twofold.queries import Views
from twofold.views import layout, schema

Status: TypeAlias = Literal["running", "ended"]

_TAG = Tag("twofold.process")
_ROWS_PER_READ = 1000


class AwaitedCommand(msgspec.Struct, frozen=True):
    """A command that was sent, and of which the outcome is not known yet."""

    id: str
    command: str
    sent_at: datetime


class AwaitedTimer(msgspec.Struct, frozen=True):
    """A timer that was set, and has not come due."""

    timer: str
    due_at: datetime


class InstanceSummary(msgspec.Struct, frozen=True):
    """An instance of a process, and what it waits for: without commands and timers, that is an event.

    ``changed_at`` is when that was recorded which it was told of last. ``compensates`` says that it undoes what it did, and
    ``parked`` how many events wait because it could not be told of the first of them.
    """

    service: str
    id: str
    process: str
    version: int
    status: Status
    started_at: datetime
    changed_at: datetime
    commands: tuple[AwaitedCommand, ...]
    timers: tuple[AwaitedTimer, ...]
    compensates: bool
    parked: int

    def waits_for(self, name: str) -> bool:
        """Say whether it waits for the outcome of a command of this name, or for a timer."""
        return name in [*[each.command for each in self.commands], *[each.timer for each in self.timers]]


class InstancePage(msgspec.Struct, frozen=True):
    """Some instances of a service, those first that have not changed for longest, and how to ask for the next ones."""

    service: str
    instances: list[InstanceSummary]
    next: str = ""


class HistoryEntry(msgspec.Struct, frozen=True):
    """Something that an instance was told of (``in``), or that has followed from that (``out``).

    ``cause`` is the position of what it followed from, if that is shown. A command's ``outcome`` is '' until it is known;
    ``due_at`` is when a timer is due.
    """

    position: int
    at: datetime
    direction: Literal["in", "out"]
    what: str
    name: str
    data: msgspec.Raw
    id: str = ""
    cause: int | None = None
    outcome: str = ""
    due_at: datetime | None = None


class InstanceDetails(msgspec.Struct, frozen=True):
    """An instance with its state, and the last of what came in and went out since it was started."""

    summary: InstanceSummary
    state: msgspec.Raw
    error: str
    history: list[HistoryEntry]
    has_earlier: bool


async def instances(
    databases: Databases, *, process: str = "", status: Status | None = None, waiting_for: str = "", limit: int = 100,
    after: str = "",
) -> InstancePage:  # fmt: skip
    """Return instances: of a process, of a status, or that wait for a command or a timer of a name, as far as that is said.

    Raises:
        NotFound: the service has no such process; the text lists those that it has.
        InvalidMessage: ``after`` is not the ``next`` of an earlier page.
    """
    from twofold.views.paging import cursor_of

    _check_known(databases, process)
    if not await schema.has(databases.views, layout(ProcessInstance)):
        return InstancePage(databases.service, [])
    parked = await _parked(databases)
    found: list[InstanceSummary] = []
    last = ""
    async for row in _rows(databases, process, status, after):
        summary = _summary(databases.service, row, parked)
        if not waiting_for or summary.waits_for(waiting_for):
            if len(found) == limit:
                return InstancePage(databases.service, found, last)
            found.append(summary)
            last = cursor_of(row, ProcessInstance.c.changed_us)
    return InstancePage(databases.service, found)


async def _rows(
    databases: Databases, process: str, status: Status | None, after: str
) -> AsyncIterator[ProcessInstance]:
    """Yield the rows of instances, those first that have not changed for longest."""
    columns = ProcessInstance.c
    where = ([columns.process == process] if process else []) + ([columns.status == status] if status else [])
    views = Views(databases.views)
    while True:
        page = await views.find(ProcessInstance, *where, order_by=columns.changed_us, limit=_ROWS_PER_READ, after=after)
        for row in page:
            yield row
        after = page.next
        if not after:
            return


def _check_known(databases: Databases, process: str) -> None:
    names = [each.name for each in databases.declaration.processes]
    if process and process not in names:
        raise NotFound(f"{databases.service} has no process {process!r}. It has {', '.join(names) or 'none'}.")


async def _parked(databases: Databases) -> dict[str, int]:
    """Return how many events wait for each instance of which one could not be handled."""
    return {
        f"{each.name}/{key}": events
        for each in databases.declaration.processes
        for key, events in (await parking.parked_keys(databases.views, each.follower)).items()
    }


def _summary(service: str, row: ProcessInstance, parked: dict[str, int]) -> InstanceSummary:
    id, waiting = str(row.key), row.waiting
    return InstanceSummary(
        service, id, row.process, row.version, row.status, moment(row.started_us), moment(row.changed_us),
        tuple([AwaitedCommand(id, each.command, moment(each.sent_us)) for id, each in waiting.sent.items()]),
        tuple([AwaitedTimer(kind, moment(due_us)) for kind, due_us in waiting.timers.items()]),
        waiting.compensates, parked.get(id, 0),
    )  # fmt: skip


async def instance(databases: Databases, id: str, *, limit: int = 100) -> InstanceDetails:
    """Return an instance, with the last of what came in and went out, no more than the limit.

    Raises:
        NotFound: there is no such instance.
    """
    definition = next((each for each in databases.declaration.processes if id.startswith(f"{each.name}/")), None)
    error = await _error(databases, definition, id)
    is_there = await schema.has(databases.views, layout(ProcessInstance))
    row = await Views(databases.views).get(ProcessInstance, id) if is_there else None
    if row is None:
        hint = (
            f"What would have begun it is parked: {error}"
            if error
            else "`twofold processes list` shows those that it has, as Process/tag:key."
        )
        raise NotFound(f"{databases.service} has no instance {id!r}. {hint}")
    recorded = await databases.log.read(_concerning(row, definition), limit=limit + 1, backwards=True)
    since = [each for each in reversed(recorded[:limit]) if each.recorded_at_us >= row.started_us]
    history = list(_history(databases, since))
    has_earlier = len(recorded) > limit and recorded[limit].recorded_at_us >= row.started_us
    summary = _summary(databases.service, row, await _parked(databases))
    return InstanceDetails(summary, msgspec.Raw(row.state), error, history, has_earlier)


async def _error(databases: Databases, definition: Definition | None, id: str) -> str:
    """Return why the first of an instance's parked events could not be handled; '' if none is parked."""
    if definition is None:
        return ""
    key = id.removeprefix(f"{definition.name}/")
    parked = await parking.parked(databases.views, definition.follower, key, 1)
    return parked[0].error if parked else ""


def _concerning(row: ProcessInstance, definition: Definition | None) -> Criteria:
    """Return what selects all that an instance was told of, and what followed from it."""
    records = Criterion(tags=(_TAG.of(row.key),))
    if definition is None:
        return (records,)
    key = definition.latest.key.of(msgspec.json.decode(row.state)["key"])
    return records, Criterion(types=tuple(definition.events), tags=(key,))


def _history(databases: Databases, recorded: Sequence[RecordedEvent]) -> Iterator[HistoryEntry]:
    known = known_events(databases.declaration)
    read = [(each, reader(known[each.type], each.version)(each.data)) for each in recorded if each.type in known]
    outcomes = {record.id: _outcome(record) for _, record in read if isinstance(record, CommandSettled)}
    positions = {each.id: each.position for each in recorded}
    for event, record in read:
        entry = _entry(databases.service, event, record, outcomes)
        if entry is not None:
            cause = positions.get(event.metadata.causation) if entry.direction == "out" else None
            yield msgspec.structs.replace(entry, cause=cause)


def _entry(service: str, event: RecordedEvent, record: Event, outcomes: dict[str, str]) -> HistoryEntry | None:
    """Return what an event in the log is to the instance that it concerns; None if it is another service's of that name."""
    entry = partial(HistoryEntry, event.position, event.recorded_at)
    nothing = msgspec.Raw(b"null")
    match record:
        case CommandSettled() if record.service == service:
            return entry("in", "outcome", record.command, record.data, record.id, outcome=_outcome(record))
        case CommandSent() if not event.metadata.source:
            outcome = outcomes.get(record.id, "")
            return entry("out", "command", record.command, record.data, record.id, outcome=outcome)
        case CommandSettled() | CommandSent():
            return None
        case TimerSet():
            return entry("out", "timer", record.kind, record.data, record.id, due_at=moment(record.due_us))
        case TimerCancelled():
            return entry("out", "cancelled", record.id.rpartition("/")[2], nothing, record.id)
        case TimerDue():
            return entry("in", "timer", record.kind, record.data, record.id, due_at=moment(record.due_us))
        case ProcessEnded():
            return entry("out", "end", "", nothing)
    return entry("in", "event", event.type, msgspec.Raw(event.data))


def _outcome(settled: CommandSettled) -> str:
    if not settled.rejection:
        return "accepted"
    return f"refused: {settled.rejection}{settled.reason and f', {settled.reason}'}"
