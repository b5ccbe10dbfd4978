"""The decision loop: states, decision, append; and again from what the log has got meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from twofold.backoff import Backoff
from twofold.clock import Clock
from twofold.commands.context import Context
from twofold.commands.decider import Decider
from twofold.commands.states import Basis, CachedState, Known, StateCache
from twofold.errors import IdReused, LogError, Rejected, TooManyConflicts, UnknownMessage, UnrecordableEvent
from twofold.limits import CommandLimits
from twofold.log import Appended, Guard, Log, RecordableEvent, Reused, Ticket, recordable
from twofold.messages import Command, Event, Metadata, content_digest, current, encode, received
from twofold.telemetry import TelemetryEvent
from twofold.telemetry.events import CommandConflicted, CommandDecided, CommandFailed, CommandRejected

_ATTEMPTS_AT_ONCE = 4
# Where many processes have one key, they come apart by chance, and not by waiting long: sixty pauses take about a second.
_BACKOFF = Backoff(first_seconds=0.004, longest_seconds=0.1, factor=1.06, jitter=1.0)


class Content(msgspec.Struct, frozen=True, gc=False):
    """The id that a command was sent under, and what that stands for."""

    id: str
    digest: bytes


NO_CONTENT = Content("", b"")

Settlement: TypeAlias = Callable[[Rejected | None], Event]
"""Makes the record of a command's outcome: of the rejection, or None if it was accepted."""


class _Decided(msgspec.Struct, frozen=True):
    """A decision that was made, and what it was made on. The events are as the log will give them back.

    A rejection has events only if it is settled by them.
    """

    bases: Sequence[Basis]
    events: Sequence[RecordableEvent] = ()
    rejection: Rejected | None = None

    def invalidate(self) -> None:
        """Have all that it was made on read again."""
        for basis in self.bases:
            basis.cached.invalidate(basis.generation)


class CommandHandler:
    """Turns commands into events in the log.

    Commands for one key decide in turn on what earlier ones have queued, so that many share one commit; if that commit
    fails, all of them decide again.
    """

    def __init__(
        self, log: Log, deciders: Iterable[Decider], clock: Clock, limits: CommandLimits = CommandLimits()
    ) -> None:
        self._log = log
        self._telemetry = log.telemetry
        self._clock = clock
        self._attempts = limits.attempts
        self._deciders: Mapping[type[Command], Decider] = {decider.command: decider for decider in deciders}
        self.states = StateCache(log, limits)

    async def handle(self, command: Command, *, id: str = "", metadata: Metadata | None = None) -> int:
        """Decide on a command and return the position in the log at which its effect ends.

        A non-empty ``id`` makes the command idempotent: one that was handled before is not decided again. It stands for
        this one command, so another one under the same id is an error and is not done.

        Raises:
            Rejected: the decision refused it, on states that the log confirmed.
            IdReused: the id was that of another command.
            TooManyConflicts: others changed its states each time.
            UnknownMessage: nothing decides on this command.
            InvalidMessage: the command does not fit its type, or names what is no identity.
            LogUnavailable: the log failed.
            UnrecordableEvent: the decision is wrong: the log could not give back what it yields.
            TypeError: the decision is wrong: it yields what it does not announce, or what its state cannot evolve.
        """
        decider = self._decider_of(command)
        command = received(command)
        command_id = id or self._clock.new_id()
        circumstances = (metadata or current.get()).caused(command_id, command_id)
        content = Content(id, content_digest(command)) if id else NO_CONTENT
        return await self._decide(decider, command, content, self._context(self._clock.now_us(), circumstances))

    async def settle(
        self, command: Command, content: Content, arrived_us: int, circumstances: Metadata, settlement: Settlement
    ) -> None:
        """Decide on a command once, and record its outcome with its events, or alone if the decision refuses it.

        So the log holds that a rejection was made on the states that it has at that position, and the command is not decided
        again whatever they become. To the decision it is the time at which the command arrived, in microseconds since 1970.

        Raises:
            Exception: whatever `handle` raises; a `Rejected` that is recorded, too.
        """
        decider, command = self._decider_of(command), received(command)
        await self._decide(decider, command, content, self._context(arrived_us, circumstances), settlement)

    def _context(self, now_us: int, circumstances: Metadata) -> Context:
        return Context(now_us, self._clock.new_id, circumstances)

    def _decider_of(self, command: Command) -> Decider:
        decider = self._deciders.get(type(command))
        if decider is None:
            raise UnknownMessage(f"Nothing decides on {type(command).__name__} here. Add its decision to the service.")
        return decider

    async def _decide(
        self,
        decider: Decider,
        command: Command,
        content: Content,
        context: Context,
        settlement: Settlement | None = None,
    ) -> int:
        began = self._telemetry.began()
        token = current.set(context.metadata)
        try:
            position = await self._decide_until_final(decider, command, context, content, settlement)
        except Exception as error:
            if began is not None:
                self._telemetry.emit(_refused(command, self._telemetry.since(began), error))
            raise
        finally:
            current.reset(token)
        if began is not None:
            self._telemetry.emit(CommandDecided(self._telemetry.since(began), type(command).message_name))
        return position

    async def _decide_until_final(
        self, decider: Decider, command: Command, context: Context, content: Content, settlement: Settlement | None
    ) -> int:
        for attempt in range(1, self._attempts + 1):
            decided = _decide(decider, command, context, await self._states(decider, command), settlement)
            if not decided.events and (decided.rejection or not content.id):
                position = await self._confirmed(decided)
                if position is not None:
                    return await self._nothing_appended(decided, position, content)
            else:
                position = await self._append(decided, content)
                if position is not None:
                    if decided.rejection:
                        raise decided.rejection
                    return position
            if self._telemetry.has_listeners:
                self._telemetry.emit(CommandConflicted(attempt, type(command).message_name))
            if attempt > _ATTEMPTS_AT_ONCE:
                await self._clock.sleep(_BACKOFF.pause_seconds(attempt - _ATTEMPTS_AT_ONCE, self._clock.random()))
        raise TooManyConflicts(
            f"{type(command).__name__} was decided {self._attempts} times, and each time other processes had changed "
            f"{', '.join(decider.states)} first. Send it again, or send the commands for one key to one process."
        )

    async def _states(self, decider: Decider, command: Command) -> list[CachedState[Any]]:
        """Return the states, none of them stale; nothing is awaited between that and the decision."""
        states = [self.states.find(each.fold, each.key(command)) for each in decider.boundaries]
        while stale := [cached for cached in states if cached.stale]:
            for cached in stale:
                await self.states.load(cached)
        return states

    async def _append(self, decided: _Decided, content: Content) -> int | None:
        """Queue the events, let later commands count on them, and return their last position; None after a conflict."""
        guards = [Guard(basis.cached.criteria, basis.after) for basis in decided.bases]
        # What cannot be evolved is not recorded.
        expected = _following(decided)
        ticket = self._log.submit_recorded(decided.events, guards, content.id, content.digest)
        for cached, state in expected:
            cached.expect(ticket, state)
        try:
            outcome = await ticket
        except LogError:
            decided.invalidate()
            raise
        if isinstance(outcome, Appended) and not outcome.repeated:
            for cached, state in expected:
                cached.accept(Known(outcome.last, state))
                self.states.folded(cached, len(decided.events))
            return outcome.last
        decided.invalidate()
        if isinstance(outcome, Reused):
            raise _id_reused(content.id)
        return outcome.last if isinstance(outcome, Appended) else None

    async def _confirmed(self, decided: _Decided) -> int | None:
        """Return the last position that counts for a decision which appended nothing, if the log bears it out.

        There has to be a position up to which the log has just the states that were decided on, all of them at once, and
        nothing that came before the command was sent may be missing. So what was queued is waited for first; only then is
        looked whether the others have moved. Of what was pending nothing can be missing, but up to where all of them are.
        """
        positions = []
        for basis in decided.bases:
            position = await _last_of(basis.after) if isinstance(basis.after, Ticket) else basis.after
            if position is None:
                basis.cached.invalidate(basis.generation)
                return None
            positions.append(position)
        last = max(positions, default=0)
        for basis, position in zip(decided.bases, positions, strict=True):
            if basis.pending and position == last:
                continue
            until = last if basis.pending else None
            if not await self.states.is_current(basis, position, until):
                return None
        return last

    async def _nothing_appended(self, decided: _Decided, position: int, content: Content) -> int:
        processed = await self._log.processed(content.id) if content.id else None
        if processed is not None:
            outcome = processed.answers(content.digest)
            if isinstance(outcome, Reused):
                raise _id_reused(content.id)
            return outcome.last
        if decided.rejection:
            raise decided.rejection
        return position


def _decide(
    decider: Decider,
    command: Command,
    context: Context,
    states: Sequence[CachedState[Any]],
    settlement: Settlement | None,
) -> _Decided:
    bases = [cached.basis() for cached in states]
    events: tuple[Event, ...] = ()
    rejection = None
    try:
        events = tuple(decider.decide(command, context, *[basis.state for basis in bases]))
    except Rejected as error:
        rejection = error
    recorded = _recordable(decider, events, context)
    if settlement is not None:
        recorded.append(recordable(settlement(rejection), context.new_id(), encode(context.metadata)))
    return _Decided(bases, recorded, rejection)


def _refused(command: Command, seconds: float, error: Exception) -> TelemetryEvent:
    """Return what there is to tell of a command that has led to nothing."""
    name, reason = type(command).message_name, type(error).__name__
    return (
        CommandRejected(seconds, name, reason) if isinstance(error, Rejected) else CommandFailed(seconds, name, reason)
    )


def _recordable(decider: Decider, events: Sequence[Event], context: Context) -> list[RecordableEvent]:
    """Return the events as the log takes them and gives them back."""
    metadata, new_id, announced = encode(context.metadata), context.new_id, decider.events
    recorded = []
    try:
        for event in events:
            if announced and type(event) not in announced:
                raise _unannounced(decider, event)
            recorded.append(recordable(event, new_id(), metadata))
    except UnrecordableEvent as error:
        raise UnrecordableEvent(f"{decider.name} yields what cannot be recorded; nothing was. {error}") from error
    return recorded


def _unannounced(decider: Decider, event: Event) -> TypeError:
    kind, announced = type(event).__name__, ", ".join(each.__name__ for each in decider.events)
    return TypeError(
        f"{decider.name} yields {kind}, and its annotation says {announced}; nothing was recorded. Add "
        f"{kind} to what it returns: -> Iterator[…]."
    )


async def _last_of(ticket: Ticket) -> int | None:
    """Return the last position of a queued append once it is in the log; None if it did not get there."""
    with suppress(LogError):
        outcome = await ticket
        if isinstance(outcome, Appended) and not outcome.repeated:
            return outcome.last
    return None


def _following(decided: _Decided) -> list[tuple[CachedState[Any], Any]]:
    """Return what the states will be that the events concern. Two states of one key are one: it all happens to it once."""
    bases = decided.bases if len(decided.bases) == 1 else {basis.cached: basis for basis in decided.bases}.values()
    expected = []
    for basis in bases:
        cached, state, concerned = basis.cached, basis.state, False
        fold, own = cached.fold, cached.criteria[0].tags[0]
        for each in decided.events:
            if own in each.new.tags and each.new.type in fold.steps:
                state, concerned = fold.apply(state, each.event), True
        if concerned:
            expected.append((cached, state))
    return expected


def _id_reused(id: str) -> IdReused:
    return IdReused(
        f"The id {id!r} was that of another command, and this one was not done. Send each command under an id of its own; "
        "the same id only to send the same command again."
    )
