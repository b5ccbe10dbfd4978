"""Oracles: what is promised of every service, whoever wrote it, asked of all that a run has left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from twofold.errors import FutureReceipt, IdReused, InvalidMessage, NotRunning, Rejected
from twofold.log import RecordedEvent
from twofold.messages import Receipt
from twofold.service import Service
from twofold.simulation.callers import NO_ANSWERS, UNKNOWN
from twofold.simulation.deciding import DecisionOracle
from twofold.simulation.handling import handling_violations
from twofold.simulation.hearing import hearing_violations
from twofold.simulation.refilling import projection_violations
from twofold.simulation.seeing_through import ending_violations, process_violations
from twofold.simulation.settling import settling_violations
from twofold.simulation.timing import schedule_violations, timer_violations
from twofold.simulation.violations import Violation
from twofold.simulation.world import World

_ANSWERS = (*UNKNOWN, Rejected, IdReused, InvalidMessage, NotRunning)


def violations(world: World) -> Iterator[Violation]:
    """Yield whatever a run has broken, the causes before what follows from them."""
    events = {name: disk.events() for name, disk in world.logs.items()}
    yield from _of_positions(events)
    for service in world.services:
        yield from DecisionOracle(
            service.name, world.releases, world.logs[service.name], world.history.sent
        ).violations()
    for service in world.services:
        yield from hearing_violations(service, world.releases, events, is_complete=not world.behind)
    yield from _of_answers(world)
    for service in world.services:
        yield from _of_reading(world, service, events[service.name])
    yield from world.found
    for service in world.services:
        yield from world.view_violations(service)
        if not world.behind:
            store, clock = world.view_store(service.name), world.views[service.name].clock
            yield from projection_violations(service, world.logs[service.name], store, clock)
        sent = world.history.sent
        yield from settling_violations(service, events[service.name], sent, is_complete=not world.behind)
    for service in world.services:
        yield from _of_what_follows(world, service, events[service.name])
    for each in world.hosts.unable:
        yield Violation("A process starts.", "the world", "that it runs", each)
    for each in world.hosts.broken:
        yield Violation("A process ends when it is asked to.", "the world", "that it runs", each)
    for each in [*world.loop.failed, *world.hosts.unseen_failures()]:
        yield Violation("What fails, somebody looks at.", "the world", "that whoever began it awaits it", each)
    for each in world.behind:
        yield Violation("When nothing goes wrong any more, all is caught up.", "the end", "the end of the log", each)


def _of_what_follows(world: World, service: Service, events: Sequence[RecordedEvent]) -> Iterator[Violation]:
    """Yield what is wrong with what sees things through: processes, event handlers, timers and schedules."""
    now = service.declaration
    yield from ending_violations(now, events)
    yield from timer_violations(now, events, clocks_are_right=not world.plan.faults.clock_jump)
    yield from schedule_violations(now, events, is_complete=not world.behind)
    if len(world.releases) == 1 and not world.views[service.name].is_empty:
        store, disk = world.view_store(service.name), world.logs[service.name]
        yield from process_violations(now, events, disk.commits, store)
        yield from handling_violations(now, events, disk.commits, world.history.calls, store)


def _of_positions(events: dict[str, list[RecordedEvent]]) -> Iterator[Violation]:
    for service, found in events.items():
        positions = [each.position for each in found]
        if positions != [*range(1, len(positions) + 1)]:
            yield Violation("Positions have no gap.", service, f"1 to {len(positions)}", f"{positions}")


def _of_answers(world: World) -> Iterator[Violation]:
    for sent in world.history.sent:
        if sent.error is not None and not isinstance(sent.error, _ANSWERS):
            yield Violation(
                "A command is decided, or it is said why not.", f"{sent.service}, {sent.command!r}, sent to {sent.process}",
                "a receipt or a rejection", repr(sent.error),
            )  # fmt: skip
    for asked in world.history.asked:
        if isinstance(asked.error, FutureReceipt):
            yield Violation("A receipt's effect is in the log.", asked.service, f"{asked.after}", repr(asked.error))
        elif asked.error is not None and not isinstance(asked.error, (*NO_ANSWERS, InvalidMessage)):
            yield Violation("A query is answered.", f"{asked.service}, {asked.query!r}", "an answer", repr(asked.error))
    for visited in world.history.visited:
        if visited.error is not None:
            yield Violation(
                "A scenario comes to its end.", f"{visited.scenario}, by {visited.client}", "that it returns, or is rejected",
                repr(visited.error),
            )  # fmt: skip


def _of_reading(world: World, service: Service, events: Sequence[RecordedEvent]) -> Iterator[Violation]:
    """Yield what was read from before what a receipt stands for, or from before what was read earlier."""
    declared = [each.services[service.name].declaration for each in world.releases]
    filled_by = {table: name for each in declared for name, tables in each.followers.items() for table in tables}
    latest: dict[str, int] = defaultdict(int)
    for read in world.views[service.name].read:
        asked = read.asked
        needed = _own_position(asked.after, service.name, events) if asked.after and asked.error is None else 0
        for follower in [filled_by[table] for table in read.tables if table in filled_by]:
            position = read.positions.get(follower, 0)
            where = f"{service.name}, {asked.query!r} after {asked.after}"
            if position < needed:
                yield Violation(
                    "A receipt's effect is visible to whoever asks after it.", where, f"{follower} at {needed}",
                    f"{follower} at {position}",
                )  # fmt: skip
            if position < latest[follower]:
                yield Violation(
                    "A view does not go back.", where, f"{follower} at {latest[follower]}", f"{follower} at {position}"
                )
            latest[follower] = max(latest[follower], position)


def _own_position(receipt: Receipt, service: str, events: Sequence[RecordedEvent]) -> int:
    """Return the position in a service's log that stands for a receipt: its own, or that of the last that it has heard."""
    if receipt.service == service:
        return receipt.position
    heard = [each for each in events if each.metadata.source == receipt.service]
    return max([each.position for each in heard if each.metadata.source_position <= receipt.position], default=0)
