"""Handling events: an event handler's batches, each event given to the function with what that needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from twofold.clock import Clock
from twofold.errors import LogCorrupted, LogUnavailable
from twofold.followers import EventFailed, KeyedHandler, storable_key
from twofold.limits import HandlerLimits
from twofold.log import Criterion, Log, RecordedEvent
from twofold.messages import Metadata, current, reader
from twofold.processes.event_handlers import EventHandler, HandlerContext
from twofold.views import ViewStore


class EventHandling(KeyedHandler):
    """What a follower does for one event handler.

    ``resources`` are those of the service, by class.
    """

    def __init__(
        self,
        handler: EventHandler,
        resources: Mapping[type, Any],
        log: Log,
        store: ViewStore,
        clock: Clock,
        limits: HandlerLimits,
    ) -> None:
        self.name = handler.follower
        self.criteria = (Criterion(types=tuple(sorted(handler.events))),)
        super().__init__(log, store, clock, handler.policy, limits)
        self._handler = handler
        self._given = {parameter: resources[kind] for parameter, kind in handler.resources.items()}

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        """Return the one key by which an event is ordered: an identity, or for an event without any its type."""
        tag = self._handler.tag
        named = event.tags if tag is None else tag.named(event.tags)
        return [storable_key(named[0] if named else event.type)]

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        metadata = event.metadata.caused(event.id)
        token = current.set(metadata)
        try:
            await self._call(event, attempt, metadata)
        except (LogUnavailable, LogCorrupted):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody has cancelled this: the handler awaited something that was.
            raise EventFailed(event.position, key, error) from error
        except Exception as error:
            raise EventFailed(event.position, key, error) from error
        finally:
            current.reset(token)

    async def _call(self, event: RecordedEvent, attempt: int, metadata: Metadata) -> None:
        decoded = reader(self._handler.events[event.type], event.version)(event.data)
        given = dict(self._given)
        if self._handler.context:
            id = f"{self._handler.name}/{event.id}"
            given[self._handler.context] = HandlerContext(id, attempt, event.position, event.recorded_at_us, metadata)
        await self._handler.function(decoded, **given)
