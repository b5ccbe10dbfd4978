"""Faults planted in what sees things through: simulations have to find every one of them."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from twofold.commands import CommandHandler
from twofold.followers import Block, Checkpoint, KeyedHandler
from twofold.log import RecordedEvent, Ticket
from twofold.messages import Event
from twofold.processes import (
    CommandSettled,
    ProcessHandler,
    process_handler,
    stepping,
    timer_handler,
    timers,
)
from twofold.processes.instances import Instance
from twofold.processes.recording import record
from twofold.processes.stepping import Cause

Plant = Callable[[pytest.MonkeyPatch], None]


def ids_without_positions(patch: pytest.MonkeyPatch) -> None:
    """What an instance sends has the same ids at each of its steps."""
    patch.setattr(Cause, "id", property(lambda self: self.instance))


def checkpoint_before_the_append(patch: pytest.MonkeyPatch) -> None:
    """The checkpoint of a process is stored before what its steps send is in the log."""
    apply = ProcessHandler.apply

    async def too_early(
        self: ProcessHandler, events: Sequence[RecordedEvent], position: int, blocked: MutableMapping[str, Block]
    ) -> None:
        before = self._position
        await self._save(position)
        self._position = before
        await apply(self, events, position, blocked)

    patch.setattr(ProcessHandler, "apply", too_early)


def timer_without_its_guard(patch: pytest.MonkeyPatch) -> None:
    """A timer comes due though it has been moved, taken back, or come due meanwhile."""

    def recorded(log: Any, records: Sequence[Event], id: str, clock: Any, metadata: bytes, *guards: Any) -> Ticket:
        return record(log, records, id, clock, metadata)

    patch.setattr(timer_handler, "record", recorded)


def timer_ahead_of_its_time(patch: pytest.MonkeyPatch) -> None:
    """Timers come due up to a second too early."""

    async def hasty(store: Any, segment: Any, now_us: int, limit: int) -> Any:
        return await timers.due_timers(store, segment, now_us + 1_000_000, limit)

    patch.setattr(timer_handler, "due_timers", hasty)


def outcome_after_its_events(patch: pytest.MonkeyPatch) -> None:
    """What was decided is appended, and by the next append that it was."""
    settle = CommandHandler.settle

    async def in_two(self: Any, *given: Any) -> None:
        kept: list[CommandSettled] = []

        def told(refusal: Any) -> Any:
            kept.append(given[-1](refusal))
            raise _Noted

        try:
            await settle(self, *(*given[:-1], told))
        except _Noted:
            command, content = given[:2]
            await self.handle(command, id=f"events of {content.id}")
            await record(self._log, kept, content.id, self._clock)

    patch.setattr(CommandHandler, "settle", in_two)


class _Noted(Exception):
    """The outcome is known."""


def order_lost_after_a_retry(patch: pytest.MonkeyPatch) -> None:
    """What waits for its next attempt holds nothing back."""
    attempt = KeyedHandler._attempt

    async def always(self: KeyedHandler, *given: Any) -> int:
        return await attempt(self, *given) or 0

    patch.setattr(KeyedHandler, "_attempt", always)


def ended_instance_reacts(patch: pytest.MonkeyPatch) -> None:
    """An instance that has ended goes on when it is told something."""
    taken = stepping.take

    def take(definition: Any, instance: Instance | None, *given: Any) -> Any:
        if instance is not None and instance.ended:
            instance = replace(instance, ended=False)
        return taken(definition, instance, *given)

    patch.setattr(process_handler, "take", take)


def undone_in_the_wrong_order(patch: pytest.MonkeyPatch) -> None:
    """What was done first is undone first."""
    stepped = stepping._Work.stepped

    def reversed_(self: Any) -> Any:
        made = stepped(self)
        waiting = made.instance.waiting
        turned = replace(waiting, undo=waiting.undo[::-1])
        instance = replace(made.instance, waiting=turned)
        return replace(made, instance=instance)

    patch.setattr(stepping._Work, "stepped", reversed_)


def instances_stored_later(patch: pytest.MonkeyPatch) -> None:
    """What an instance has become is stored by the checkpoint after that of its step."""
    held: dict[int, Any] = {}

    async def late(self: ProcessHandler, checkpoint: Checkpoint) -> None:
        changes = held.pop(id(self), [])
        held[id(self)] = self._instances.changes()
        await self._views.commit(checkpoint, changes)

    patch.setattr(ProcessHandler, "commit", late)


def tick_without_an_id(patch: pytest.MonkeyPatch) -> None:
    """What follows from a tick is appended each time that it is followed."""

    def recorded(log: Any, records: Sequence[Event], id: str, *given: Any) -> Ticket:
        return record(log, records, "", *given)

    patch.setattr("twofold.processes.schedule_handler.record", recorded)


PLANTED: list[Plant] = [
    ids_without_positions,
    checkpoint_before_the_append,
    timer_without_its_guard,
    timer_ahead_of_its_time,
    outcome_after_its_events,
    order_lost_after_a_retry,
    ended_instance_reacts,
    undone_in_the_wrong_order,
    instances_stored_later,
    tick_without_an_id,
]
