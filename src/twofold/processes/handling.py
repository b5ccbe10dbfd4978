"""Handling events: an event handler's batches, each event given to the function with what that needs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import Any

from twofold.clock import Clock
from twofold.errors import UnrecordableEvent, ValueRefused
from twofold.followers import Block, Checkpoint, Claim, EventFailed, KeyedHandler, storable_key
from twofold.limits import HandlerLimits
from twofold.log import Criterion, Log, RecordedEvent
from twofold.messages import current, encode, reader
from twofold.processes.event_handlers import EventHandler, HandlerContext
from twofold.processes.instances import instance_key
from twofold.processes.recording import own_id, record
from twofold.processes.records import CommandSent
from twofold.processes.sending import sent
from twofold.processes.transaction import HandlerTransaction
from twofold.views import ViewStore


class EventHandling(KeyedHandler):
    """What a follower does for one event handler. ``resources`` are those of the service, by class.

    What was handled and is not covered by a stored checkpoint is remembered, so that it is not handled again if a checkpoint
    could not be stored and this process goes on with the segment.
    """

    def __init__(
        self, handler: EventHandler, service: str, resources: Mapping[type, Any], log: Log, store: ViewStore, clock: Clock,
        limits: HandlerLimits,
    ) -> None:  # fmt: skip
        self.name = handler.follower
        self.criteria = (Criterion(types=tuple(sorted(handler.events))),)
        super().__init__(log, store, clock, handler.policy, limits)
        self._handler = handler
        self._service = service
        self._views = store
        # An event that is stored with its effect is stored or is not, also where the answer was lost: it is no rest.
        self.leaves_rest = not handler.transaction
        self._given = {parameter: resources[kind] for parameter, kind in handler.resources.items()}
        self._handled: set[int] = set()

    async def start(self, claim: Claim) -> Collection[str]:
        self._handled = {position for position in self._handled if position > claim.position}
        return await super().start(claim)

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        """Return the one key by which an event is ordered: an identity, or its type if it has none."""
        tag = self._handler.tag
        named = event.tags if tag is None else tag.named(event.tags)
        return [storable_key(named[0] if named else event.type)]

    async def apply(self, events: Sequence[RecordedEvent], position: int, blocked: MutableMapping[str, Block]) -> None:
        if self._handler.transaction:
            # Each is stored with the checkpoint behind it, so nothing before that may be open still.
            for event in events:
                await super().apply([event], event.position, blocked)
            events = ()
        await super().apply(events, position, blocked)

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        if event.position in self._handled:
            return
        metadata, transaction = event.metadata.caused(event.id), HandlerTransaction()
        token = current.set(metadata)
        try:
            records = await self._called(event, key, attempt, transaction)
        finally:
            current.reset(token)
        try:
            if records:
                id = self._id(event, key)
                await record(self._log, records, id, self._clock, encode(metadata))
            if self._handler.transaction:
                await self._store_with(transaction, event, key)
        except (UnrecordableEvent, ValueRefused) as error:
            raise EventFailed(event.position, key, error) from error
        self._handled.add(event.position)

    async def _called(
        self, event: RecordedEvent, key: str, attempt: int, transaction: HandlerTransaction
    ) -> list[CommandSent]:
        """Call the function, and return the records of the commands that it returns. Whatever it raises is a failure."""
        try:
            decoded = reader(self._handler.events[event.type], event.version)(event.data)
            given = dict(self._given)
            if self._handler.context:
                id = f"{self._handler.name}/{event.id}"
                context = HandlerContext(id, attempt, event.position, event.recorded_at_us, event.metadata)
                given[self._handler.context] = context
            if self._handler.transaction:
                given[self._handler.transaction] = transaction
            commands = self._handler.returned(await self._handler.function(decoded, **given))
            id = self._id(event, key)
            return [sent(each, f"{id}/{number}", self._service) for number, each in enumerate(commands)]
        except BaseException as error:
            if _is_an_end(error):
                raise
            raise EventFailed(event.position, key, error) from error

    def _id(self, event: RecordedEvent, key: str) -> str:
        """Return the id under which what a handler sends is appended, so that it is sent once."""
        return own_id("handler", self._handler.name, instance_key(key), event.position)

    async def _store_with(self, transaction: HandlerTransaction, event: RecordedEvent, key: str) -> None:
        """Store what the handler writes, and that the event is handled, in one transaction."""
        async with self._committing:
            position = max(self._position, event.position)
            checkpoint = Checkpoint(self._claim, position, unparked=((key, event.position),))
            await self._views.commit(checkpoint, transaction.statements)
            self._position = position

    async def commit(self, checkpoint: Checkpoint) -> None:
        await super().commit(checkpoint)
        self._handled = {position for position in self._handled if position > checkpoint.position}


def _is_an_end(error: BaseException) -> bool:
    """Say whether an error ends the work, or the program; any other is a failure of the handler, whatever its base."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        # If nobody has cancelled this, the handler awaited something that was.
        return task is None or task.cancelling() > 0
    return isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit))
