"""Oracles: what is promised of every service, whoever wrote it, asked of all that a run has left."""

from __future__ import annotations

from collections.abc import Iterator

from twofold.errors import FutureReceipt, IdReused, InvalidMessage, NotRunning, ReceiptTimeout, Rejected, ViewNotReady
from twofold.log import ALL, RecordedEvent
from twofold.simulation.clients import UNKNOWN
from twofold.simulation.deciding import DecisionOracle
from twofold.simulation.log_store import LogDisk
from twofold.simulation.viewing import view_violations
from twofold.simulation.violations import Violation
from twofold.simulation.wire import at_once
from twofold.simulation.world import World

_ANSWERS = (*UNKNOWN, Rejected, IdReused, InvalidMessage, NotRunning)
_NO_ANSWERS = (*UNKNOWN, ReceiptTimeout, ViewNotReady, InvalidMessage, NotRunning)
_EVERYTHING = 1_000_000_000


def violations(world: World) -> Iterator[Violation]:
    """Yield whatever a run has broken, the causes before what follows from them."""
    yield from _of_the_log(world)
    for service in world.services:
        yield from DecisionOracle(service, world.logs[service.name], world.history.sent).violations()
    yield from _of_answers(world)
    for service in world.services:
        events = events_of(world.logs[service.name])
        yield from view_violations(service, events, world.view_store(service.name))
    for each in world.broken:
        yield Violation("A process starts.", "the world", "that it runs", each)
    for each in world.behind:
        yield Violation("When nothing goes wrong any more, all is caught up.", "the end", "the end of the log", each)


def events_of(disk: LogDisk) -> list[RecordedEvent]:
    """Return all that a log holds."""
    return at_once(disk.stored.read(ALL, 0, _EVERYTHING))


def _of_the_log(world: World) -> Iterator[Violation]:
    for service in world.services:
        positions = [each.position for each in events_of(world.logs[service.name])]
        if positions != [*range(1, len(positions) + 1)]:
            yield Violation("Positions have no gap.", service.name, f"1 to {len(positions)}", f"{positions}")


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
