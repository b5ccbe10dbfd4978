"""Oracles for commands that go through logs: what is sent is recorded, is carried out once, and nothing else is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from twofold.declaration import Declaration
from twofold.errors import IdReused
from twofold.log import RecordedEvent
from twofold.messages import Event, encode
from twofold.processes import CommandSent, CommandSettled, addressee, carried_id
from twofold.service import Service
from twofold.simulation.concerned import as_read
from twofold.simulation.history import Sent
from twofold.simulation.violations import Violation


class Order(msgspec.Struct, frozen=True):
    """A command that the log of a service has for it: who sent it, and when it arrived."""

    sender: str
    sent: CommandSent
    arrived_us: int


def orders_of(declaration: Declaration, events: Sequence[RecordedEvent]) -> dict[str, Order]:
    """Return the commands in a log that its service is to carry out, by the ids of the appends that do that."""
    known: list[type[Event]] = [CommandSent, *declaration.hears]
    kinds = {each.message_name: each for each in known}
    orders = {}
    for event in events:
        if event.type.endswith(CommandSent.message_name) and event.type in kinds:
            sent = as_read(kinds[event.type], event.version, event.data)
            if sent.service == declaration.name:
                sender = event.metadata.source or declaration.name
                orders[carried_id(sender, sent.id)] = Order(sender, sent, event.recorded_at_us)
    return orders


def settled_in(events: Sequence[RecordedEvent]) -> dict[str, int]:
    """Return where a service has carried out commands, by the ids of the appends that did."""
    settled = [
        (as_read(CommandSettled, each.version, each.data), each)
        for each in events
        if each.type == CommandSettled.message_name
    ]
    return {carried_id(record.service, record.id): each.position for record, each in settled}


def settling_violations(
    service: Service, events: Sequence[RecordedEvent], history: Sequence[Sent], *, is_complete: bool
) -> Iterator[Violation]:
    """Yield what is wrong with the commands of which a service's log tells, and with what those were told who sent them."""
    declaration = service.declaration
    orders, settled = orders_of(declaration, events), settled_in(events)
    if is_complete:
        for id in orders.keys() - settled:
            yield Violation("A command that is sent is carried out.", f"{service.name}, {id}", "its outcome", "nothing")
    yield from _of_order(service, orders, settled)
    sent = {
        each.position: as_read(CommandSent, each.version, each.data)
        for each in events
        if each.type == CommandSent.message_name
    }
    told = [each for each in history if each.service == service.name and type(each.command) in declaration.sends]
    yield from _of_receipts(service, sent, told)
    known = {each.command_id for each in told}
    for position, each in sent.items():
        is_of_code = each.instance is not None or each.id.startswith(("twofold/handler/", "schedule/"))
        if not is_of_code and each.id not in known and addressee(events[position - 1]) != service.name:
            yield Violation(
                "What is in the log was sent.", f"{service.name}, position {position}", "a command", each.id
            )


def _of_order(service: Service, orders: Mapping[str, Order], settled: Mapping[str, int]) -> Iterator[Violation]:
    last: dict[tuple[str, str], int] = defaultdict(int)
    for id, order in orders.items():
        kept = order.sender, order.sent.order
        position = settled.get(id)
        if position is not None and position < last[kept]:
            yield Violation(
                "Commands of one order are carried out in that order.", f"{service.name}, {id}", f"behind {last[kept]}",
                f"at {position}",
            )  # fmt: skip
        last[kept] = max(last[kept], position or 0)


def _of_receipts(service: Service, sent: Mapping[int, CommandSent], told: Sequence[Sent]) -> Iterator[Violation]:
    for each in told:
        where = f"{service.name}, {each.command!r} as {each.command_id}, sent to {each.process}"
        if each.receipt is not None:
            found = sent.get(each.receipt.position)
            if found is None or (found.id, bytes(found.data)) != (each.command_id, encode(each.command)):
                yield Violation("What is acknowledged is in the log.", where, "the command", repr(found))
        elif isinstance(each.error, IdReused):
            others = [other for other in told if other.id == each.id and other.command != each.command]
            if not others:
                yield Violation(
                    "An id is refused only where it was that of another command.", where, "a receipt", repr(each.error)
                )
