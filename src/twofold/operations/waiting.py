"""What waits, and for how long: whatever can hide a backlog has an age."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from twofold.clock import moment
from twofold.folding import fold_of
from twofold.followers import KeyedHandler, checkpoints, parking
from twofold.log import Criteria, Criterion, RecordedEvent
from twofold.messages import reader
from twofold.messaging import inbox_name
from twofold.operations.databases import Databases
from twofold.operations.following import doing_handlers
from twofold.processes import CommandSent, CommandSettled, PendingTimer, ProcessInstance, heard
from twofold.views import View, layout, schema, table_name

_LAST_COMMANDS = 100_000
_READ_AT_ONCE = 1000

Backlog: TypeAlias = Literal["events", "parked keys", "overdue timers", "running instances", "sent commands"]


class Waiting(msgspec.Struct, frozen=True):
    """What of a service waits for one thing: how many, and since when the oldest of them does.

    ``name`` is the follower that has not handled events, or that has parked keys; the process of running instances, the oldest
    of which is the one that has not changed for longest; the service that has not told what became of commands.
    """

    service: str
    what: Backlog
    name: str
    count: int
    since: datetime
    age_seconds: float


async def waiting(databases: Sequence[Databases]) -> list[Waiting]:
    """Return all that waits in some services, that which has waited longest first.

    Of commands that were sent to other services, the last 100,000 are looked at. Those that an instance has sent before are
    among what that waits for. Whether an inbox is behind is known of services that are among those asked for.

    Raises:
        LogUnavailable: one of the databases cannot be used now.
    """
    found = []
    for each in databases:
        now_us = each.clock.now_us()
        async for what, name, count, since_us in _backlogs(each, databases, now_us):
            age_seconds = max(0, now_us - since_us) / 1_000_000
            found.append(Waiting(each.service, what, name, count, moment(since_us), age_seconds))
    return sorted(found, key=lambda each: each.since)


_Found: TypeAlias = tuple[Backlog, str, int, int]


async def _backlogs(of: Databases, all_databases: Sequence[Databases], now_us: int) -> AsyncIterator[_Found]:
    async for name, count, since_us in _behind(of, all_databases):
        yield "events", name, count, since_us
    for name, count, since_us in await parking.oldest_parked(of.views):
        yield "parked keys", name, count, since_us
    async for found in _rows(of, now_us):
        yield found
    for name, times_us in (await _unanswered(of)).items():
        yield "sent commands", name, len(times_us), min(times_us)


# Events that followers have not handled.


async def _behind(of: Databases, all_databases: Sequence[Databases]) -> AsyncIterator[tuple[str, int, int]]:
    """Yield each follower that has something before it: how many events it has to look at, and when the first was recorded."""
    criteria = dict(_criteria(of))
    sources = {inbox_name(each.service): each for each in all_databases if each.service in of.declaration.sources}
    criteria |= {name: _told(source) for name, source in sources.items()}
    begun: dict[str, int] = {}
    for segment in await checkpoints.progress(of.views):
        begun[segment.follower] = min(segment.position, begun.get(segment.follower, segment.position))
    for name, position in {**dict.fromkeys([*of.declaration.followers, *sources], 0), **begun}.items():
        log = sources.get(name, of).log
        events = await log.read(criteria[name], position, 1) if name in criteria else []
        if events:
            yield name, await log.head() - position, events[0].recorded_at_us


def _criteria(databases: Databases) -> Iterator[tuple[str, Criteria]]:
    """Yield what each follower of the own log is told of."""
    declaration = databases.declaration
    for view in declaration.folded:
        yield table_name(view), (Criterion(types=fold_of(view).types),)
    for projection in declaration.projections:
        yield projection.name, (Criterion(types=tuple(projection.events)),)
    # Nothing is handled, so nothing is worked with.
    resources = dict.fromkeys([kind for each in declaration.handlers for kind in each.resources.values()])
    for name, make in doing_handlers(databases, resources).items():
        handler = make()
        if isinstance(handler, KeyedHandler):
            yield name, handler.criteria


def _told(source: Databases) -> Criteria:
    """Return what a service's log has for others."""
    return (Criterion(types=tuple([each.message_name for each in source.declaration.tells])),)


# Timers and instances.


async def _rows(databases: Databases, now_us: int) -> AsyncIterator[_Found]:
    from sqlalchemy import func, select

    timers, instances = PendingTimer.c, ProcessInstance.c
    if await _has(databases, PendingTimer):
        due = select(func.count(), func.min(timers.due_us)).where(timers.due_us <= now_us)
        for count, since_us in await databases.views.select(due):
            if count:
                yield "overdue timers", "timers", count, since_us
    if await _has(databases, ProcessInstance):
        running: Any = select(instances.process, func.count(), func.min(instances.changed_us))
        running = running.where(instances.status == "running").group_by(instances.process)
        for process, count, since_us in await databases.views.select(running):
            yield "running instances", process, count, since_us


async def _has(databases: Databases, view: type[View]) -> bool:
    return await schema.has(databases.views, layout(view))


# Commands that were sent to other services.


async def _unanswered(databases: Databases) -> Mapping[str, list[int]]:
    """Return when each command was sent of which the outcome is not known, by the service that is to tell it."""
    services = dict.fromkeys([each.message_service for each in databases.declaration.sent])
    outcomes = {kind.message_name: kind for kind in [heard(CommandSettled, each) for each in services]}
    criteria = (Criterion(types=(CommandSent.message_name, *outcomes)),)
    settled: set[tuple[str, str]] = set()
    open_: dict[str, list[int]] = {}
    async for event in _backwards(databases, criteria if services else ()):
        if event.type in outcomes:
            told = reader(outcomes[event.type], event.version)(event.data)
            settled.add((outcomes[event.type].message_source, told.id))
            continue
        sent = reader(CommandSent, event.version)(event.data)
        if sent.service in services and (sent.service, sent.id) not in settled:
            open_.setdefault(sent.service, []).append(event.recorded_at_us)
    return open_


async def _backwards(databases: Databases, criteria: Criteria) -> AsyncIterator[RecordedEvent]:
    """Yield the last events that are selected, the newest first."""
    before = await databases.log.head() + 1
    for _ in range(_LAST_COMMANDS // _READ_AT_ONCE if criteria else 0):
        events = await databases.log.read(criteria, before, _READ_AT_ONCE, backwards=True)
        for event in events:
            yield event
        if len(events) < _READ_AT_ONCE:
            return
        before = events[-1].position
