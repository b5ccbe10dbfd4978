"""Commands to other services from outside of processes: sent through the own log, and waited for until they are settled."""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeAlias, cast

import msgspec

from twofold.clock import Clock
from twofold.errors import (
    IdReused,
    InvalidMessage,
    LogError,
    NotRunning,
    Rejected,
    RequestTimeout,
    UnknownMessage,
)
from twofold.log import Appended, Criterion, Log, RecordedEvent
from twofold.messages import Command, Metadata, Receipt, Tag, content_digest, current, encode, identity_text, reader
from twofold.processes.recording import own_id, record
from twofold.processes.records import CommandSettled, heard
from twofold.processes.sending import sent

_PAUSE_SECONDS = 0.5

_Place: TypeAlias = tuple[str, str]
"""Where the outcome of a command is waited for: the service that decides on it, and its id."""


class _Outcome(msgspec.Struct, frozen=True):
    """What became of a command, and where in the log of the service that decided on it."""

    settled: CommandSettled
    receipt: Receipt


class Requests:
    """Sends commands to other services, and waits for their outcomes: by one task for all that this process waits for."""

    def __init__(self, service: str, sends: Iterable[type[Command]], log: Log, clock: Clock) -> None:
        self._service = service
        self._sends = frozenset(sends)
        self._kinds = {each.message_service: heard(CommandSettled, each.message_service) for each in self._sends}
        self._log = log
        self._clock = clock
        self._waiting: dict[_Place, list[asyncio.Future[_Outcome]]] = defaultdict(list)
        self._listening: asyncio.Task[None] | None = None

    async def send(self, command: Command, id: str, metadata: Metadata | None) -> Appended:
        """Record that a command is sent, once for an id, and return where.

        Raises:
            UnknownMessage: the service does not say that it sends it.
            InvalidMessage: it does not fit its type, or names what is no identity; or the id is none.
            IdReused: the id was that of another command.
            LogUnavailable: the log failed.
        """
        kind = type(command)
        if kind not in self._sends:
            raise UnknownMessage(
                f"{self._service} does not say that it sends {kind.__name__} to {kind.message_service}. Add it to sends=[…] "
                "of the service."
            )
        made = sent(command, identity_text(id), self._service)
        circumstances = (metadata or current.get()).caused(id, id)
        outcome = await record(
            self._log, [made], own_id("sent", made.service, id), self._clock, encode(circumstances),
            digest=content_digest(command),
        )  # fmt: skip
        if not isinstance(outcome, Appended):
            raise IdReused(f"The id {id!r} was that of another command to {made.service}, and this one was not sent.")
        return outcome

    async def request(self, command: Command, id: str, metadata: Metadata | None, timeout_seconds: float) -> Receipt:
        """Send a command, and return once it is accepted.

        Raises:
            Rejected: it was refused; of the class that the command declares, if it declares one of that name.
            InvalidMessage: the other service does not take it as it is, or it does not fit its own type.
            RequestTimeout: nothing is known of it yet.
            NotRunning: the service ends.
            UnknownMessage, IdReused, LogUnavailable: as `send` does.
        """
        place = (type(command).message_service, id)
        waiter: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[place].append(waiter)
        try:
            self._listen()
            appended = await self.send(command, id, metadata)
            outcome = await self._known(place) if appended.repeated else None
            if outcome is None:
                await asyncio.wait([waiter], timeout=timeout_seconds)
                outcome = self._told(waiter, command, id, timeout_seconds)
        finally:
            self._leave(place, waiter)
        if outcome.settled.rejection:
            raise refusal(outcome.settled, type(command))
        return outcome.receipt

    def _told(self, waiter: asyncio.Future[_Outcome], command: Command, id: str, timeout_seconds: float) -> _Outcome:
        name, service = type(command).message_name, type(command).message_service
        again = f"It is sent, and may still be decided: with id={id!r} it can be requested again, and is decided once."
        if waiter.cancelled():
            raise NotRunning(f"{self._service} ends, and is told nothing more of {name} by {service}. {again}")
        if not waiter.done():
            raise RequestTimeout(f"{service} has told nothing of {name} within {timeout_seconds:g} s. {again}")
        return waiter.result()

    async def _known(self, place: _Place) -> _Outcome | None:
        """Return the outcome of a command that was sent before, if it has one."""
        service, id = place
        criteria = (Criterion((self._kinds[service].message_name,), (Tag("twofold.command").of(id),)),)
        events = await self._log.read(criteria, limit=1)
        return self._outcome(events[0]) if events else None

    def _outcome(self, event: RecordedEvent) -> _Outcome:
        source = event.metadata.source
        settled = cast("CommandSettled", reader(self._kinds[source], event.version)(event.data))
        return _Outcome(settled, Receipt(source, event.metadata.source_position))

    # Who waits, and who tells them.

    def _listen(self) -> None:
        if self._listening is None:
            # What is sent from now on is settled behind what there is by now.
            self._listening = asyncio.create_task(self._tell(self._log.known_head))

    def _leave(self, place: _Place, waiter: asyncio.Future[_Outcome]) -> None:
        self._waiting[place].remove(waiter)
        if not self._waiting[place]:
            del self._waiting[place]

    async def _tell(self, after: int) -> None:
        """Tell whoever waits of outcomes as they come."""
        criteria = (Criterion(types=tuple([each.message_name for each in self._kinds.values()])),)
        while True:
            try:
                async for batch in self._log.follow(criteria, after):
                    for event in batch.events:
                        self._tell_of(event)
                    after = batch.position
            except LogError:
                # They wait no longer than they have said.
                await self._clock.sleep(_PAUSE_SECONDS)

    def _tell_of(self, event: RecordedEvent) -> None:
        source = event.metadata.source
        for tag in Tag("twofold.command").named(event.tags):
            for waiter in self._waiting.get((source, tag.partition(":")[2]), ()):
                if not waiter.done():
                    waiter.set_result(self._outcome(event))

    async def close(self) -> None:
        """Tell whoever waits that nobody will tell them any more here."""
        for waiter in [each for waiters in self._waiting.values() for each in waiters]:
            waiter.cancel()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])


# Outcomes as they are raised.


def refusal(settled: CommandSettled, command: type[Command]) -> Rejected | InvalidMessage:
    """Return the error for a command that another service has refused.

    It is of the class of that name which the command declares (``rejections=``), or else of one that is made up for the name.

    >>> settled = CommandSettled(
    ...     id="1", service="sales", command="Reserve", data=msgspec.Raw(b"{}"), rejection="OutOfStock",
    ...     reason="There is not so much of it. (3)", arguments=[3],
    ... )
    >>> refusal(settled, Command)
    OutOfStock(3)
    """
    if settled.rejection == InvalidMessage.__name__:
        return InvalidMessage(f"{settled.command} was not taken: {settled.reason}")
    declared = {each.__name__: each for each in command.message_rejections}.get(settled.rejection)
    # One that is made in another way is raised with the text that it had there.
    with suppress(Exception):
        if declared is not None:
            return declared(*settled.arguments)
    return _made_up(settled.rejection)(settled.reason, settled.arguments)


class _RejectedElsewhere(Rejected):
    """Another service has refused the command."""

    def __init__(self, text: str, arguments: Iterable[Any]) -> None:
        super().__init__(*arguments)
        self._text = text

    def __str__(self) -> str:
        return self._text


@functools.cache
def _made_up(name: str) -> type[_RejectedElsewhere]:
    return type(name, (_RejectedElsewhere,), {"__doc__": _RejectedElsewhere.__doc__})
