"""The decision loop: states, decision, append; and again from what the log has got meanwhile."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import DecodeError

from twofold.clock import Clock
from twofold.commands.context import Context
from twofold.commands.decider import Decider
from twofold.commands.states import Cell, States
from twofold.errors import LogError, Rejected, TooManyConflicts, UnknownMessage
from twofold.log import Appended, Guard, Log, NewEvent, Ticket
from twofold.messages import Command, Event, Metadata, current, encode, reader, tagger

_ATTEMPTS = 64
_PATIENT_ATTEMPTS = 4
_LONGEST_PAUSE_SECONDS = 0.1


class _Basis(msgspec.Struct, frozen=True):
    """A state as it was when it was decided on."""

    cell: Cell[Any]
    generation: int
    after: int | Ticket


class _Decided(msgspec.Struct, frozen=True):
    """A decision that was made, and what it was made on."""

    decider: Decider
    bases: Sequence[_Basis]
    events: Sequence[Event] = ()
    rejection: Rejected | None = None

    def spoil(self) -> None:
        """Have all that it was made on read again."""
        for basis in self.bases:
            basis.cell.spoil(basis.generation)


class Handler:
    """Turns commands into events in the log.

    Commands for one key decide in turn on what earlier ones have queued, so that many share one commit; if that commit
    fails, all of them decide again.
    """

    def __init__(self, log: Log, deciders: Iterable[Decider], clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._deciders: Mapping[type[Command], Decider] = {decider.command: decider for decider in deciders}
        self.states = States(log)

    async def handle(self, command: Command, *, id: str = "", metadata: Metadata | None = None) -> int:
        """Decide on a command and return the position in the log at which its effect ends.

        A non-empty ``id`` makes the command idempotent: one that was handled before is not decided again.

        Raises:
            Rejected: the decision refused it, on states that the log confirmed.
            TooManyConflicts: others changed its states each time.
            UnknownMessage: nothing decides on this command.
            LogUnavailable: the log failed.
            TypeError: the decision is wrong: what it yields, the log could not give back, or its state cannot evolve.
        """
        decider = self._deciders.get(type(command))
        if decider is None:
            raise UnknownMessage(f"Nothing decides on {type(command).__name__} here. Add its decision to the service.")
        command_id = id or self._clock.new_id()
        circumstances = (metadata or current.get()).caused(command_id, command_id)
        context = Context(self._clock.now_us(), self._clock.new_id, circumstances)
        token = current.set(circumstances)
        try:
            return await self._decide_until_settled(decider, command, context, id)
        finally:
            current.reset(token)

    async def _decide_until_settled(self, decider: Decider, command: Command, context: Context, id: str) -> int:
        for attempt in range(_ATTEMPTS):
            decided = _decide(decider, command, context, await self._cells(decider, command))
            if decided.rejection or not (decided.events or id):
                position = await self._confirmed(decided)
                if position is not None:
                    return await self._nothing_appended(decided, position, id)
            else:
                position = await self._append(decided, context, id)
                if position is not None:
                    return position
            if attempt >= _PATIENT_ATTEMPTS:
                await self._clock.sleep(self._clock.random() * min(_LONGEST_PAUSE_SECONDS, 0.001 * attempt))
        raise TooManyConflicts(
            f"{type(command).__name__} was decided {_ATTEMPTS} times, and each time other processes had changed "
            f"{', '.join(decider.states)} first. Send it again, or send the commands for one key to one process."
        )

    async def _cells(self, decider: Decider, command: Command) -> list[Cell[Any]]:
        """Return the states, none of them stale; nothing is awaited between that and the decision."""
        cells = [self.states.find(each.fold, each.key(command)) for each in decider.boundaries]
        while stale := [cell for cell in cells if cell.stale]:
            for cell in stale:
                await self.states.load(cell)
        return cells

    async def _append(self, decided: _Decided, context: Context, id: str) -> int | None:
        """Queue the events, let later commands count on them, and return their last position; None after a conflict."""
        guards = [Guard(basis.cell.criteria, basis.after) for basis in decided.bases]
        recorded = _recorded(decided, context)
        # Two states of one key are one cell, and the events happen to it once. What cannot be evolved is not recorded.
        cells = dict.fromkeys([basis.cell for basis in decided.bases])
        following = [(cell, _following(cell, decided.events, recorded)) for cell in cells]
        expected = [(cell, state) for cell, state in following if state is not None]
        ticket = self._log.submit(recorded, *guards, id=id)
        for cell, state in expected:
            cell.expect(state, ticket)
        try:
            outcome = await ticket
        except LogError:
            decided.spoil()
            raise
        if isinstance(outcome, Appended) and not outcome.repeated:
            for cell, state in expected:
                cell.confirm(state, ticket, outcome.last, len(decided.events))
                self.states.keep(cell)
            return outcome.last
        decided.spoil()
        return outcome.last if isinstance(outcome, Appended) else None

    async def _confirmed(self, decided: _Decided) -> int | None:
        """Return the last position that counts for a decision which appended nothing, if the log bears it out.

        What was queued is borne out by its own commit; what was only remembered, by another look.
        """
        position = 0
        for basis in decided.bases:
            if isinstance(basis.after, Ticket):
                reached = await _last_of(basis.after)
                if reached is None:
                    basis.cell.spoil(basis.generation)
                    return None
            elif await self.states.is_current(basis.cell, basis.after):
                reached = basis.after
            else:
                return None
            position = max(position, reached)
        return position

    async def _nothing_appended(self, decided: _Decided, position: int, id: str) -> int:
        handled = await self._log.store.handled(id) if id else None
        if handled is not None:
            return handled.last
        if decided.rejection:
            raise decided.rejection
        return position


def _decide(decider: Decider, command: Command, context: Context, cells: Sequence[Cell[Any]]) -> _Decided:
    bases = [_Basis(cell, cell.generation, cell.counts_on) for cell in cells]
    try:
        return _Decided(decider, bases, tuple(decider.decide(command, context, *[cell.state for cell in cells])))
    except Rejected as rejection:
        return _Decided(decider, bases, rejection=rejection)


async def _last_of(ticket: Ticket) -> int | None:
    """Return the last position of a queued append once it is in the log; None if it did not get there."""
    with suppress(LogError):
        outcome = await ticket
        if isinstance(outcome, Appended) and not outcome.repeated:
            return outcome.last
    return None


def _following(cell: Cell[Any], events: Sequence[Event], recorded: Sequence[NewEvent]) -> Any:
    """Return what a cell's state will be with these events; None if they do not concern it."""
    state, concerned = cell.state, False
    own = cell.criteria[0].tags[0]
    for event, as_recorded in zip(events, recorded, strict=True):
        if own in as_recorded.tags and as_recorded.type in cell.fold.steps:
            state, concerned = cell.fold.apply(state, event), True
    return state if concerned else None


def _recorded(decided: _Decided, context: Context) -> list[NewEvent]:
    """Return the events as the log takes them; what it could not give back is not recorded, as it cannot be mended."""
    decider = decided.decider
    metadata = encode(context.metadata)
    recorded = []
    for event in decided.events:
        kind = type(event)
        if decider.events and kind not in decider.events:
            announced = ", ".join(each.__name__ for each in decider.events)
            raise TypeError(
                f"{decider.name} yields {kind.__name__}, and its annotation says {announced}; nothing was recorded. Add "
                f"{kind.__name__} to what it returns: -> Iterator[…]."
            )
        try:
            recorded.append(recorder(kind)(event, context.new_id(), metadata))
        except DecodeError as error:
            raise TypeError(
                f"{decider.name} yields {event!r}, which does not fit its class: {error}; nothing was recorded."
            ) from error
    return recorded


@functools.cache
def recorder(kind: type[Event]) -> Callable[[Event, str, bytes], NewEvent]:
    """Return the function that makes an event of a class what the log takes, or raises a DecodeError."""
    name, version, tags, read = (
        kind.message_name,
        kind.message_version,
        tagger(kind),
        reader(kind, kind.message_version),
    )

    def record(event: Event, id: str, metadata: bytes) -> NewEvent:
        data = encode(event)
        read(data)
        return NewEvent(id, name, version, tags(event), data, metadata)

    return record
