"""Folding events into rows: the handlers by which the following loop fills views."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from twofold.clock import Clock
from twofold.errors import InvalidMessage, LeaseLost, LogCorrupted, LogUnavailable, ValueRefused
from twofold.folding import fold_of
from twofold.followers import Block, Checkpoint, Claim, EventFailed, Parked, Segment, parking, storable_key
from twofold.followers.shadow import shadow_follower, shadowed
from twofold.limits import FollowerLimits
from twofold.log import Batch, Criteria, Criterion, Log, RecordedEvent
from twofold.messages import reader
from twofold.views import replacing, schema
from twofold.views.projection import Projection
from twofold.views.store import ViewStore
from twofold.views.transaction import NotShadowed, Transaction
from twofold.views.view import View, layout, table_name

_WHOLE = Segment()

_logger = logging.getLogger("twofold.views")


class _RowHandler:
    """What views and projections have in common: rows, parked events and the checkpoint go into one transaction."""

    name: str
    criteria: Criteria

    def __init__(
        self,
        views: Sequence[type[View]],
        log: Log,
        store: ViewStore,
        clock: Clock,
        *,
        as_shadow: bool,
        limits: FollowerLimits,
    ) -> None:
        self._views = views
        self._as_shadow = as_shadow
        self._log = log
        self._store = store
        self._clock = clock
        self._batch_events = limits.batch_events
        self._rows = Transaction(store, views, as_shadow=as_shadow, limits=limits)
        self._claim: Claim
        self._position = 0

    def batches(self, after: int) -> AsyncIterator[Batch[RecordedEvent]]:
        return self._log.follow(self.criteria, after, self._batch_events)

    async def start(self, claim: Claim) -> Collection[str]:
        self._claim = claim
        self._position = claim.position
        self._rows.forget()
        if not claim.position and not self._as_shadow:
            # They were made when the process started; those of a version that nobody had declared may have been dropped since.
            for view in self._views:
                await schema.create(self._store, layout(view))
        return await parking.parked_keys(self._store, self.name)

    async def apply(self, events: Sequence[RecordedEvent], position: int, blocked: Mapping[str, Block]) -> None:
        new = [event for event in events if event.position > self._position]
        try:
            parked = await self._fold(new, blocked)
            await self._save(Checkpoint(self._claim, position, tuple(parked)))
        except (EventFailed, LeaseLost, LogUnavailable, LogCorrupted, AssertionError):
            self._rows.discard()
            raise
        except NotShadowed as error:
            self._rows.discard()
            await self._give_up(error)
        except Exception as error:
            self._rows.discard()
            left = [event for event in new if event.position > self._position]
            if isinstance(error, ValueRefused):
                await self._fold_strictly(left, blocked)
            await self._apply_each(left, position, blocked, error)
        except BaseException:
            self._rows.discard()
            raise

    async def _fold_strictly(self, events: Sequence[RecordedEvent], blocked: Mapping[str, Block]) -> None:
        """Find the events of a batch by which a row becomes such that no database can hold it, if that is what is wrong."""
        self._rows.is_strict = True
        try:
            # A statement that is refused is not a row: its event is found one by one.
            with suppress(ValueRefused):
                await self._fold(events, blocked)
        finally:
            self._rows.is_strict = False
            self._rows.discard()

    async def _apply_each(
        self, events: Sequence[RecordedEvent], position: int, blocked: Mapping[str, Block], error: Exception
    ) -> None:
        """Find the event of a batch that makes what the database does not take, and store those before it."""
        if not events:
            raise error
        if len(events) == 1:
            (event,) = events
            keys = await self._keys_refused(event, blocked)
            first, *also = [EventFailed(event.position, key, error) for key in keys]
            raise EventFailed(*first.subject, error, also) from error
        for event in events:
            await self.apply([event], event.position, blocked)
        await self.apply([], position, blocked)

    async def _give_up(self, error: NotShadowed) -> None:
        """End a rebuilding that cannot come to a good end."""
        follower = shadowed(self.name)
        if await replacing.drop(self._store, self.name, self._rows.tables, even_if_declared=True):
            _logger.error(
                "The rebuilding of %s was given up: %s. What it writes elsewhere cannot be written twice: empty those tables, "
                "and rebuild it with --in-place.", follower, error,
            )  # fmt: skip
        raise LeaseLost(f"{follower} is not rebuilt any more: {error}.") from error

    async def retry(self, keys: Sequence[str]) -> Collection[str]:
        return [key for key in keys if await self._retry(key)]

    async def _retry(self, key: str) -> bool:
        for each in await self._parked(key):
            (event,) = await self._log.read(after=each.position - 1, limit=1)
            try:
                await self._handle(event, key)
                await self._save(Checkpoint(self._claim, self._position, unparked=((key, each.position),)))
            except (LeaseLost, LogUnavailable, LogCorrupted, AssertionError):
                self._rows.discard()
                raise
            except NotShadowed as error:
                self._rows.discard()
                await self._give_up(error)
            except Exception as error:
                self._rows.discard()
                failure = error if isinstance(error, EventFailed) else EventFailed(each.position, key, error)
                again = Parked(self.name, key, each.position, str(failure), 1, each.parked_at_us)
                await self._store.commit(Checkpoint(self._claim, self._position, (again,)))
                return False
        return True

    async def _parked(self, key: str) -> list[Parked]:
        # To the store, the key '' means any; and an unfinished key must not be taken for a finished one.
        found = await parking.parked(self._store, self.name, key)
        return [each for each in found if each.key == key]

    async def _save(self, checkpoint: Checkpoint) -> None:
        await self._store.commit(checkpoint, self._rows.writes())
        self._rows.accept()
        self._position = checkpoint.position

    async def _fold(self, events: Sequence[RecordedEvent], blocked: Mapping[str, Block]) -> list[Parked]:
        raise NotImplementedError

    async def _handle(self, event: RecordedEvent, key: str) -> None:
        raise NotImplementedError

    async def _keys_refused(self, event: RecordedEvent, blocked: Mapping[str, Block]) -> list[str]:
        """Return the keys for which an event makes what the database does not take."""
        raise NotImplementedError

    def _held(self, blocked: Mapping[str, Block], key: str, position: int) -> Parked | None:
        """Return what to keep of an event if its key is blocked."""
        block = blocked.get(key)
        if block is None or position < block.since:
            return None
        return block.park(self.name, key, position, self._clock.now_us())


class ViewHandler(_RowHandler):
    """Fills one view, or its shadow: every event is folded into the rows of the keys that it names."""

    def __init__(
        self,
        view: type[View],
        log: Log,
        store: ViewStore,
        clock: Clock,
        *,
        as_shadow: bool = False,
        limits: FollowerLimits = FollowerLimits(),
    ) -> None:
        super().__init__([view], log, store, clock, as_shadow=as_shadow, limits=limits)
        self._folding = fold_of(view)
        self._steps = self._folding.steps
        self._key = fold_of(view).key
        self._view = view
        self._table = table_name(view)
        self.name = shadow_follower(self._table) if as_shadow else self._table
        self.criteria = (Criterion(types=fold_of(view).types),)
        self._named = {event: self._key.finder(event) for event, _ in self._steps.values()}

    async def _fold(self, events: Sequence[RecordedEvent], blocked: Mapping[str, Block]) -> list[Parked]:
        parked: list[Parked] = []
        owned: list[tuple[RecordedEvent, Any, list[Any]]] = []
        for recorded in events:
            event = self._decode(recorded)
            if isinstance(event, Exception):
                parked += self._undecodable(recorded, event, blocked)
            else:
                owned.append((recorded, event, self._keys(event)))
        await self._rows.prefetch(self._table, dict.fromkeys([key for _, _, keys in owned for key in keys]))
        refused: dict[str, EventFailed] = {}
        for recorded, event, keys in owned:
            for key in keys:
                held = self._held(blocked, self._key_text(key), recorded.position) if blocked else None
                if held is not None:
                    parked.append(held)
                else:
                    try:
                        self._step(recorded, event, key)
                    except EventFailed as failure:
                        if not failure.is_refused:
                            raise
                        # All of a batch are found at once, and parked together.
                        refused.setdefault(failure.subject[1], failure)
        if refused:
            first, *also = refused.values()
            first.also = also
            raise first
        return parked

    def _key_text(self, key: Any) -> str:
        """Return a key as the text by which it is ordered and parked, also one that could not be parked under its own name."""
        try:
            return storable_key(self._key.of(key))
        except InvalidMessage:
            return storable_key(self._key.roughly(key))

    def _decode(self, recorded: RecordedEvent) -> Any:
        kind, _ = self._steps[recorded.type]
        try:
            return reader(kind, recorded.version)(recorded.data)
        except Exception as error:
            return error

    def _undecodable(self, recorded: RecordedEvent, error: Exception, blocked: Mapping[str, Block]) -> Iterator[Parked]:
        """Park an event that does not fit its class for each key that its tags name."""
        named = self._key.named(recorded.tags) or [self._claim.segment.nameless]
        for key in filter(self._claim.segment.owns, map(storable_key, named)):
            held = self._held(blocked, key, recorded.position)
            if held is None:
                raise EventFailed(recorded.position, key, error) from error
            yield held

    def _keys(self, event: Any) -> list[Any]:
        keys = self._named[type(event)](event)
        if self._claim.segment == _WHOLE:
            return keys
        return [key for key in keys if self._claim.segment.owns(self._key_text(key))]

    def _step(self, recorded: RecordedEvent, event: Any, key: Any) -> None:
        row = self._rows.peek(self._table, key)
        try:
            before, step = self._view(key=key) if row is None else row, self._steps[recorded.type]
            row = step[1](before, event)
            if row is None:
                self._rows.delete(self._view, key)
            else:
                # It is done for every event: the usual case is told in place.
                if type(row) is not self._view or row.key is not before.key:
                    self._folding.check(before, row, step)
                self._rows.put(row)
        except (Exception, asyncio.CancelledError) as error:
            # Nothing is awaited here: whatever is raised is the step's own.
            raise EventFailed(recorded.position, self._key_text(key), error) from error

    async def _keys_refused(self, event: RecordedEvent, blocked: Mapping[str, Block]) -> list[str]:
        keys = [self._key_text(key) for key in self._keys(self._decode(event))]
        unparked = [key for key in keys if self._held(blocked, key, event.position) is None]
        return [key for key in unparked if await self._is_refused(event, key)] or unparked

    async def _is_refused(self, event: RecordedEvent, key: str) -> bool:
        try:
            await self._handle(event, key)
            await self._store.preview(self._rows.writes(), layout(self._view), ())
        except (LogUnavailable, LogCorrupted):
            raise
        except Exception:
            return True
        finally:
            self._rows.discard()
        return False

    async def _handle(self, event: RecordedEvent, key: str) -> None:
        decoded = self._decode(event)
        if isinstance(decoded, Exception):
            raise EventFailed(event.position, key, decoded) from decoded
        named = [each for each in self._keys(decoded) if key in (self._claim.segment.nameless, self._key_text(each))]
        await self._rows.prefetch(self._table, named)
        for each in named:
            self._step(event, decoded, each)


class ProjectionHandler(_RowHandler):
    """Runs one projection, perhaps to fill the shadows of its views.

    Its rows may be anybody's, so its events have one order: it has a single key, ''.
    """

    def __init__(
        self,
        projection: Projection,
        log: Log,
        store: ViewStore,
        clock: Clock,
        *,
        as_shadow: bool = False,
        limits: FollowerLimits = FollowerLimits(),
    ) -> None:
        super().__init__(projection.views, log, store, clock, as_shadow=as_shadow, limits=limits)
        self._projection = projection
        self.name = shadow_follower(projection.name) if as_shadow else projection.name
        self.criteria: Criteria = (Criterion(types=tuple(sorted(projection.events))),)

    async def _fold(self, events: Sequence[RecordedEvent], blocked: Mapping[str, Block]) -> list[Parked]:
        parked = []
        for event in events:
            held = self._held(blocked, "", event.position)
            if held is None:
                await self._handle(event, "")
            else:
                parked.append(held)
            if self._rows.is_touched:
                # What later events find is what this one's statements have made of the rows, so they are run before.
                await self._save(Checkpoint(self._claim, event.position, tuple(parked)))
                parked.clear()
        return parked

    async def _handle(self, event: RecordedEvent, key: str) -> None:
        try:
            kind = self._projection.events[event.type]
            await self._projection.function(reader(kind, event.version)(event.data), self._rows)
        except (LogUnavailable, LogCorrupted, NotShadowed):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody has cancelled this: the projection awaited something that was.
            raise EventFailed(event.position, key, error) from error
        except Exception as error:
            raise EventFailed(event.position, key, error) from error

    async def _keys_refused(self, event: RecordedEvent, blocked: Mapping[str, Block]) -> list[str]:
        return [""]
