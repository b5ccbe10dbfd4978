"""Carrying out commands that were sent through the log: each is decided once, and its outcome is recorded with its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Final, cast

import msgspec
from msgspec.structs import replace

from twofold.clock import Clock
from twofold.commands import CommandHandler
from twofold.commands.handler import Content
from twofold.errors import (
    DeclarationError,
    IdReused,
    InvalidMessage,
    LogCorrupted,
    LogUnavailable,
    Rejected,
    TooManyConflicts,
    UnknownMessage,
)
from twofold.followers import Decision, EventFailed, Failure, FollowerStore, KeyedHandler, Park, retries, storable_key
from twofold.limits import HandlerLimits
from twofold.log import Criterion, Log, RecordedEvent, Reused
from twofold.messages import Command, Event, decode, encode, plain, reader
from twofold.processes.recording import own_id, record
from twofold.processes.records import CommandSent, CommandSettled, heard

COMMANDS: Final = "commands"
"""The name of the follower that carries out commands."""

_DIGEST_BYTES = 16

_patient = retries()


def _policy(failure: Failure) -> Decision:
    """Decisions are pure, so one that fails would fail again; only what others change meanwhile may come to an end."""
    return _patient(failure) if isinstance(failure.error, TooManyConflicts) else Park()


class SentCommandHandler(KeyedHandler):
    """Has the commands decided that the log has for this service: those that it sent itself, and those of some others.

    What becomes of a command is appended under an id that is made of its sender and its own, so it is decided once, whoever is
    killed when. A rejection is an outcome like any other. What fails otherwise is parked, and all later commands of its sender
    and order wait behind it.
    """

    name = COMMANDS

    def __init__(
        self,
        service: str,
        senders: Iterable[str],
        commands: Mapping[str, type[Command]],
        handler: CommandHandler,
        log: Log,
        store: FollowerStore,
        clock: Clock,
        limits: HandlerLimits,
    ) -> None:
        # Nothing is called that many at once could overload, and all that are decided at once share commits.
        limits = replace(limits, concurrent_keys=limits.batch_events)
        super().__init__(log, store, clock, _policy, limits)
        self._service = service
        types: list[type[Event]] = [CommandSent, *[heard(CommandSent, sender) for sender in senders]]
        self._types = {each.message_name: each for each in types}
        self.criteria = (Criterion(types=tuple(self._types)),)
        self._commands = commands
        self._handler = handler

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        try:
            sent = self._read(event)
        except (msgspec.MsgspecError, DeclarationError):
            # Handling it says what is wrong with it.
            return ("",)
        if sent.service != self._service:
            return ()
        source = event.metadata.source
        return (storable_key(f"{source}/{sent.order}" if source else sent.order),)

    def _read(self, event: RecordedEvent) -> CommandSent:
        return cast("CommandSent", reader(self._types[event.type], event.version)(event.data))

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        try:
            await self._carry_out(_Order(self._service, event, self._read(event)))
        except (LogUnavailable, LogCorrupted):
            raise
        except Exception as error:
            raise EventFailed(event.position, key, error) from error

    async def _carry_out(self, order: _Order) -> None:
        try:
            await self._decide(order)
        except Rejected:
            # That is in the log now, as the outcome.
            return
        except Exception as error:
            if isinstance(error, InvalidMessage) and not isinstance(error, UnknownMessage):
                await self._settle(order, outcome(order.sender, order.sent, error))
            elif not await self._is_settled(order):
                raise

    async def _decide(self, order: _Order) -> None:
        kind = self._commands.get(order.sent.command)
        if kind is None:
            raise UnknownMessage(
                f"{order.sender} has sent {order.sent.command}, and nothing decides on that here. Add its decision to "
                f"{self._service}, and have it retried; or discard it."
            )
        command = decode(kind, bytes(order.sent.data))
        settlement = partial(outcome, order.sender, order.sent)
        await self._handler.settle(command, order.content, order.arrived_us, order.circumstances, settlement)

    async def _is_settled(self, order: _Order) -> bool:
        """Say whether it was settled before: then that stays what it was, whatever the code of today makes of it."""
        settled = await self._log.processed(order.content.id)
        return settled is not None and not isinstance(settled.answers(order.content.digest), Reused)

    async def _settle(self, order: _Order, settled: CommandSettled) -> None:
        """Record an outcome that no decision has come to."""
        circumstances = encode(order.circumstances)
        recorded = await record(
            self._log, [settled], order.content.id, self._clock, circumstances, digest=order.content.digest
        )
        if isinstance(recorded, Reused):
            raise IdReused(
                f"The id {order.sent.id!r} was that of another command of {order.sender}, and this one was not done."
            )


class _Order:
    """A command that was sent: by whom, when it arrived, and under which circumstances it is decided."""

    def __init__(self, service: str, event: RecordedEvent, sent: CommandSent) -> None:
        recorded = event.metadata
        self.sent = sent
        self.sender = recorded.source or service
        self.arrived_us = event.recorded_at_us
        self.circumstances = recorded.caused(sent.id, sent.id)
        # The data is that which is in the sender's log, so it is the same content also for later code.
        said = b"%b %b" % (sent.command.encode(), bytes(sent.data))
        self.content = Content(carried_id(self.sender, sent.id), blake2b(said, digest_size=_DIGEST_BYTES).digest())


def outcome(sender: str, sent: CommandSent, refusal: Rejected | InvalidMessage | None) -> CommandSettled:
    """Return the record of what became of a command: why it was refused, or that it was not."""
    rejection = reason = ""
    arguments: list[Any] = []
    if refusal is not None:
        rejection, reason, arguments = type(refusal).__name__, plain(str(refusal)), [*map(plain, refusal.args)]
    return CommandSettled(
        id=sent.id, service=sender, command=sent.command, data=sent.data, instance=sent.instance,
        rejection=rejection, reason=reason, arguments=arguments,
    )  # fmt: skip


def carried_id(sender: str, command_id: str) -> str:
    """Return the id under which the outcome of a command is appended: no other sender, and nobody else's append, has it.

    >>> carried_id("sales", "Fulfilment/order:7/12/0")
    'twofold/command/sales/Fulfilment/order:7/12/0'
    """
    return own_id("command", sender, command_id)
