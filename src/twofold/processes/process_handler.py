"""Following the log for a process: the handler by which the following loop has its instances take their steps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, MutableMapping, Sequence
from typing import Any

import msgspec

from twofold.clock import Clock
from twofold.errors import LogCorrupted, LogUnavailable, UnrecordableEvent, ValueRefused
from twofold.followers import (
    Block,
    Checkpoint,
    Claim,
    Decision,
    EventFailed,
    Failure,
    KeyedHandler,
    Park,
    RetryAfter,
)
from twofold.followers.keyed import Work
from twofold.limits import HandlerLimits
from twofold.log import Appended, Criterion, Log, Outcome, RecordedEvent, Ticket
from twofold.messages import Event, encode, reader
from twofold.processes.instances import instance_id, instance_key, key_text
from twofold.processes.keeping import Instances, NewerVersion
from twofold.processes.reading import Definition
from twofold.processes.recording import own_id, record
from twofold.processes.records import RECORDS, CommandSettled, TimerDue, heard
from twofold.processes.stepping import Cause, Stepped, as_recorded, take
from twofold.views import ViewStore

_NEWER_SECONDS = 10.0
_TAKEN_AT_ONCE = 64
_logger = logging.getLogger("twofold.processes")
_RECORDS = {each.message_name: each for each in RECORDS}


def _policy(failure: Failure) -> Decision:
    """Park what fails: a step is pure, so it would fail again. But where newer code is being deployed, that has it soon."""
    return RetryAfter(_NEWER_SECONDS) if isinstance(failure.error, NewerVersion) else Park()


class _Told(msgspec.Struct):
    """An event of a batch as it was read, or why it could not be; and the instances that it is for, with their keys."""

    event: RecordedEvent
    read: Any
    keys: dict[str, Any]


class ProcessHandler(KeyedHandler):
    """Has the instances of one process take their steps, in the order of the log for each.

    What a step sends is appended under an id that is made of the instance and the event, and the instances are stored with the
    checkpoint. So if what was appended is not known after a crash, the step is made again, and its append adds nothing.
    """

    def __init__(
        self, definition: Definition, service: str, log: Log, store: ViewStore, clock: Clock, limits: HandlerLimits
    ) -> None:
        self.name = definition.follower
        # Nothing is called that many at once could overload, and the steps that are taken at once share commits.
        limits = msgspec.structs.replace(limits, concurrent_keys=limits.batch_events)
        super().__init__(log, store, clock, _policy, limits)
        self._definition = definition
        self._service = service
        self._views = store
        self._instances = Instances(definition, store)
        key = definition.latest.key
        self._finders = {name: key.finder(event) for name, event in definition.events.items()}
        services = {command.message_service for command in definition.commands.values()} - {"", service}
        records: list[type[Event]] = [
            TimerDue,
            CommandSettled,
            *[heard(CommandSettled, each) for each in sorted(services)],
        ]
        self._types = {**definition.events, **{each.message_name: each for each in records}}
        self.criteria = (Criterion(types=tuple(self._types)),)
        self._told: dict[int, _Told] = {}

    async def start(self, claim: Claim) -> Collection[str]:
        self._instances.forget()
        self._told.clear()
        return await super().start(claim)

    async def prepare(self, events: Sequence[RecordedEvent]) -> None:
        self._told = {event.position: self._read(event) for event in events}
        owns = self._claim.segment.owns
        keys = {key for told in self._told.values() for key in told.keys if owns(key)}
        self._instances.forget()
        await self._instances.load(sorted(keys))

    def keys(self, event: RecordedEvent) -> Sequence[str]:
        return [*self._told[event.position].keys]

    def _read(self, event: RecordedEvent) -> _Told:
        kind = self._types[event.type]
        try:
            read = reader(kind, event.version)(event.data)
            return _Told(event, read, dict(self._keys(event, read)))
        except Exception as error:
            named = self._definition.latest.key.named(event.tags) or [self._claim.segment.nameless]
            return _Told(event, error, dict.fromkeys(map(instance_key, named)))

    def _keys(self, event: RecordedEvent, read: Any) -> Iterator[tuple[str, Any]]:
        """Yield the texts of the keys of the instances that an event is for, and the keys, as far as they are known."""
        if isinstance(read, TimerDue | CommandSettled):
            # What this service has decided for another one is in its log too, and that may have a process of the same name.
            is_own = isinstance(read, TimerDue) or read.service == self._service
            if is_own and (text := key_text(read.instance or "", self._definition.name)):
                yield text, None
            return
        for key in self._finders[event.type](read):
            yield instance_key(self._definition.latest.key.of(key)), key

    # All of a batch at once, as it nearly always can be.

    async def apply(self, events: Sequence[RecordedEvent], position: int, blocked: MutableMapping[str, Block]) -> None:
        """Take all steps of the batch, have them appended together, and store the instances with the checkpoint.

        If a step fails, or was made before by other code, the batch is handled key by key: what is appended is recognised.
        """
        new = [event for event in events if event.position > self._position]
        await self.prepare(new)
        works, parked = self._sorted(new, blocked)
        if await self._all_are_taken(works):
            self._outage.succeeded()
            await self._save(position, parked)
        else:
            await super().apply(events, position, blocked)

    async def _all_are_taken(self, works: Iterable[Work]) -> bool:
        """Take the steps, and say whether all of them could be, and are in the log as they were taken."""
        taken: list[tuple[Cause, Stepped, Ticket | None]] = []
        try:
            for work in works:
                taken += self._taken(work)
                if len(taken) % _TAKEN_AT_ONCE == 0:
                    # Whoever else has something to do is not kept from it for long.
                    await asyncio.sleep(0)
            for cause, stepped, ticket in taken:
                if ticket is not None and await self._as_recorded(await ticket, stepped, cause) is not stepped:
                    return False
        except (LogUnavailable, LogCorrupted):
            raise
        except Exception:
            # Which one it is will be found out.
            return False
        for cause, stepped, _ in taken:
            _tell_unheard(cause, stepped)
        return True

    def _taken(self, work: Work) -> Iterator[tuple[Cause, Stepped, Ticket | None]]:
        """Take the steps of one instance, and queue what follows from them, in order."""
        last: Ticket | None = None
        for event in work.events:
            cause = self._cause(event, work.key, 1)
            stepped = self._stepped(self._told[event.position], work.key, cause)
            if stepped is not None:
                self._instances.put(work.key, stepped.instance)
                ticket = self._queued(stepped, cause, last) if stepped.records else None
                last = ticket or last
                yield cause, stepped, ticket

    # One after the other.

    async def handle(self, event: RecordedEvent, key: str, attempt: int) -> None:
        told = self._told.get(event.position)
        if told is None or told.event is not event:
            # It was parked, and perhaps edited.
            told = self._read(event)
        await self._instances.load([key])
        cause = self._cause(event, key, attempt)
        stepped = self._stepped(told, key, cause)
        if stepped is not None:
            if stepped.records:
                stepped = await self._recorded(stepped, key, cause)
            self._instances.put(key, stepped.instance)
            _tell_unheard(cause, stepped)

    def _cause(self, event: RecordedEvent, key: str, attempt: int) -> Cause:
        return Cause(
            instance_id(self._definition.name, key), self._service, event.position, event.recorded_at_us,
            event.metadata.caused(event.id), attempt,
        )  # fmt: skip

    def _stepped(self, told: _Told, key: str, cause: Cause) -> Stepped | None:
        try:
            if isinstance(told.read, Exception):
                raise told.read
            instance = self._instances.find(key)
            if instance is not None and instance.position >= cause.position:
                # It was told of this before, and that was stored although the checkpoint was not.
                return None
            return take(self._definition, instance, told.read, told.keys.get(key), cause)
        except (Exception, asyncio.CancelledError) as error:
            # Nothing is awaited here: whatever is raised is the step's own.
            raise EventFailed(cause.position, key, error) from error

    def _queued(self, stepped: Stepped, cause: Cause, before: Ticket | None = None) -> Ticket:
        metadata = encode(cause.metadata)
        return record(self._log, stepped.records, own_id("process", cause.id), self._clock, metadata, succeeds=before)

    async def _recorded(self, stepped: Stepped, key: str, cause: Cause) -> Stepped:
        """Append what follows from a step, and return the step as it is in the log then."""
        try:
            outcome = await self._queued(stepped, cause)
        except (ValueRefused, UnrecordableEvent) as error:
            raise EventFailed(cause.position, key, error) from error
        return await self._as_recorded(outcome, stepped, cause)

    async def _as_recorded(self, outcome: Outcome, stepped: Stepped, cause: Cause) -> Stepped:
        """Return a step as it is in the log: the very one, or what was made of it when it was made before."""
        if not isinstance(outcome, Appended):
            raise LogCorrupted(f"The log answered a step of {cause.instance} with {outcome!r}.")
        if not outcome.repeated:
            return stepped
        events = await self._log.read(after=outcome.first - 1, limit=outcome.last - outcome.first + 1)
        return as_recorded(stepped, [reader(_RECORDS[each.type], each.version)(each.data) for each in events], cause)

    async def commit(self, checkpoint: Checkpoint) -> None:
        await self._views.commit(checkpoint, self._instances.changes())


def _tell_unheard(cause: Cause, stepped: Stepped) -> None:
    """Nothing follows from a refusal that the process is not told of, so somebody else is told."""
    refused = stepped.unheard
    if refused is None:
        return
    name = type(refused.command).message_name
    _logger.warning(
        "%s has sent %s, which was refused: %s (%s). Nothing in the process is for that: write @react def …(self, outcome: "
        "Refused[%s]).", cause.instance, name, refused.rejection, refused.reason, name,
    )  # fmt: skip
