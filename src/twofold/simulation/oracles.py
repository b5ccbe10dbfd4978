"""Oracles: what is promised of every service, whoever wrote it, asked of all that a run has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twofold.errors import FutureReceipt, IdReused, InvalidMessage, NotRunning, ReceiptTimeout, Rejected, ViewNotReady
from twofold.log import ALL, RecordedEvent
from twofold.messages import Receipt
from twofold.simulation.clients import UNKNOWN
from twofold.simulation.deciding import DecisionOracle
from twofold.simulation.disks import LogDisk
from twofold.simulation.hearing import hearing_violations
from twofold.simulation.history import Asked
from twofold.simulation.viewing import view_violations
from twofold.simulation.violations import Violation
from twofold.simulation.wire import at_once
from twofold.simulation.world import World

_ANSWERS = (*UNKNOWN, Rejected, IdReused, InvalidMessage, NotRunning)
_NO_ANSWERS = (*UNKNOWN, ReceiptTimeout, ViewNotReady, InvalidMessage, NotRunning)
_EVERYTHING = 1_000_000_000


def violations(world: World) -> Iterator[Violation]:
    """Yield whatever a run has broken, the causes before what follows from them."""
    events = {name: events_of(disk) for name, disk in world.logs.items()}
    yield from _of_positions(events)
    for service in world.services:
        yield from DecisionOracle(service, world.logs[service.name], world.history.sent).violations()
    for service in world.services:
        yield from hearing_violations(service, events, is_complete=not world.behind)
    yield from _of_answers(world)
    for asked in world.history.asked:
        yield from _of_reading(world, asked, events[asked.service])
    for service in world.services:
        yield from view_violations(service, events[service.name], world.view_store(service.name))
    for each in world.hosts.broken:
        yield Violation("A process ends when it is asked to.", "the world", "that it runs", each)
    for each in world.behind:
        yield Violation("When nothing goes wrong any more, all is caught up.", "the end", "the end of the log", each)


def events_of(disk: LogDisk) -> list[RecordedEvent]:
    """Return all that a log holds."""
    return at_once(disk.stored.read(ALL, 0, _EVERYTHING))


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
        elif asked.error is not None and not isinstance(asked.error, _NO_ANSWERS):
            yield Violation("A query is answered.", f"{asked.service}, {asked.query!r}", "an answer", repr(asked.error))


def _of_reading(world: World, asked: Asked, events: Sequence[RecordedEvent]) -> Iterator[Violation]:
    if asked.after is None or asked.error is not None:
        return
    (declaration,) = [each.declaration for each in world.services if each.name == asked.service]
    filled_by = {table: name for name, tables in declaration.followers.items() for table in tables}
    needed = _own_position(asked.after, asked.service, events)
    for read in asked.read:
        for follower in [filled_by[table] for table in read.tables if table in filled_by]:
            if read.positions.get(follower, 0) < needed:
                yield Violation(
                    "A receipt's effect is visible to whoever asks after it.",
                    f"{asked.service}, {asked.query!r} after {asked.after}",
                    f"{follower} at {needed}", f"{follower} at {read.positions.get(follower, 0)}",
                )  # fmt: skip


def _own_position(receipt: Receipt, service: str, events: Sequence[RecordedEvent]) -> int:
    """Return the position in a service's log that stands for a receipt: its own, or that of the last that it has heard."""
    if receipt.service == service:
        return receipt.position
    heard = [each for each in events if each.metadata.source == receipt.service]
    return max([each.position for each in heard if each.metadata.source_position <= receipt.position], default=0)
