"""The log: what is appended goes through one queue, and followers wake when it grows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from twofold.clock import Clock
from twofold.errors import LogCorrupted, LogUnavailable, ValueRefused
from twofold.limits import LogLimits
from twofold.log.commit import GroupCommit, Guard, Ticket, check_guards, ends
from twofold.log.following import Batch, Head
from twofold.log.keys import stored_key
from twofold.log.model import ALL, Criteria, NewEvent, Outcome, ProcessedId, RecordedEvent, StoredPayload, TypeCount
from twofold.log.positions import check_history, check_read
from twofold.log.recorder import RecordableEvent
from twofold.log.rules import check_query, recorded_size, size_of
from twofold.log.store import LogStore, SnapshotStore
from twofold.telemetry import Telemetry
from twofold.telemetry.events import LogRead

_logger = logging.getLogger(__name__)


class Log:
    """A service's log.

    >>> from twofold.adapters.memory import MemoryStore
    >>> from twofold.clock import SystemClock
    >>> async def example():
    ...     log = await Log.open(MemoryStore(), SystemClock())
    ...     event = NewEvent("id-1", "Deposited", 1, ("account:ann",), b'{"amount":5}')
    ...     outcome = await log.append([event], Guard(ALL, after=0))
    ...     await log.close()
    ...     return outcome
    >>> asyncio.run(example())
    Appended(first=1, last=1, repeated=False)
    """

    def __init__(self, store: LogStore, clock: Clock, head: int, limits: LogLimits, telemetry: Telemetry) -> None:
        self.store = store
        self.telemetry = telemetry
        self._limits = limits
        self._head = Head(store, clock, head, limits)
        self._commits = GroupCommit(store, clock, self._head.advance, limits, telemetry)
        self._closing = False

    @classmethod
    async def open(
        cls,
        store: LogStore,
        clock: Clock,
        limits: LogLimits = LogLimits(),
        telemetry: Telemetry | None = None,
        *,
        read_only: bool = False,
    ) -> Log:
        """Open the store and find the head; a store that cannot be used is closed again.

        What happens is told to those who listen to ``telemetry``.

        Raises:
            LogUnavailable: the store cannot be opened or, read-only, holds no log.
        """
        try:
            await store.open(read_only=read_only)
            return cls(store, clock, await store.head(), limits, telemetry or Telemetry(clock))
        except BaseException:
            await store.close()
            raise

    async def append(self, events: Sequence[NewEvent], *guards: Guard, id: str = "", digest: bytes = b"") -> Outcome:
        """Append events if the guards hold, durably and all together; a conflict is an ordinary outcome.

        A non-empty ``id`` makes it idempotent; ``digest``, of the content that the id stands for, has another content under
        the id noticed, which is an ordinary outcome too.

        Raises:
            LogUnavailable: the store failed; whether the events were stored is then unknown unless the text says so.
            ValueRefused: no log takes what was given, or this one's database does not; nothing was stored.
        """
        return await self.submit(events, *guards, id=id, digest=digest)

    def submit(
        self,
        events: Sequence[NewEvent],
        *guards: Guard,
        id: str = "",
        digest: bytes = b"",
        succeeds: Ticket | None = None,
    ) -> Ticket:
        """Queue an append without waiting for it. Appends take effect in the order in which they were queued.

        What ``succeeds`` an append is not stored if that one may have to be queued again: it would come behind it then.

        Raises:
            LogUnavailable: the log is closing.
            ValueRefused: no log takes what was given; nothing was queued.
        """
        events = tuple(events)
        check_guards(guards)
        return self._queued(Ticket(events, guards, id, digest, size_of(events, id, digest), succeeds))

    def submit_recorded(
        self,
        recorded: Sequence[RecordableEvent],
        guards: Sequence[Guard],
        id: str,
        digest: bytes,
        succeeds: Ticket | None = None,
    ) -> Ticket:
        """Queue what the recorder has made, under guards of criteria that were checked: neither is looked at again.

        ``succeeds`` is what it is for `submit`.

        Raises:
            LogUnavailable: the log is closing.
            ValueRefused: no log takes so much, or such an id; nothing was queued.
        """
        events = tuple([each.new for each in recorded])
        return self._queued(Ticket(events, guards, id, digest, recorded_size(events, id), succeeds))

    def _queued(self, ticket: Ticket) -> Ticket:
        if self._closing:
            raise LogUnavailable("The log is closing: nothing was appended. Send the command to a running process.")
        self._commits.add(ticket)
        return ticket

    # Reading and following.

    async def read(
        self, criteria: Criteria = ALL, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        """Return up to ``limit`` events after a position; backwards, those before it, newest first (0: from the end)."""
        began = self.telemetry.began()
        events = await self.store.read(criteria, after, limit, backwards=backwards)
        check_read(events, criteria, after, limit, backwards=backwards)
        if began is not None:
            seconds = self.telemetry.since(began)
            self.telemetry.emit(LogRead(seconds=seconds, events=len(events), content="events"))
        return events

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        """Return what a state is folded from: up to ``limit`` events after a position, without their circumstances."""
        began = self.telemetry.began()
        payloads = await self.store.history(criteria, after, limit)
        check_history(payloads, after, limit)
        if began is not None:
            seconds = self.telemetry.since(began)
            self.telemetry.emit(LogRead(seconds=seconds, events=len(payloads), content="payloads"))
        return payloads

    async def processed(self, append_id: str) -> ProcessedId | None:
        """Return what is remembered of an earlier append with this id.

        Raises:
            LogCorrupted: it is of another id.
        """
        found = await self.store.processed(append_id)
        if found is not None and found.key != stored_key(append_id):
            raise LogCorrupted(
                f"The store remembers {found.key!r} where {append_id!r} was asked for. Its adapter is at fault: "
                "`twofold.testing.LogConformance` tells where."
            )
        return found

    async def types(self, most: int) -> list[TypeCount]:
        """Return the types of which there are events, with no more than ``most`` counted of each."""
        return await self.store.types(most)

    @property
    def snapshots(self) -> SnapshotStore:
        """Where states are kept that took long to fold."""
        return self.store.snapshots

    @property
    def known_head(self) -> int:
        """The position of the last event that this object has seen; `head` asks the store."""
        return self._head.position

    async def head(self) -> int:
        """Return the position of the last event in the log, by whichever process it was appended.

        Raises:
            LogCorrupted: the log ends earlier than it did.
        """
        return await self._head.find()

    async def follow(
        self, criteria: Criteria = ALL, after: int = 0, limit: int = 2000
    ) -> AsyncIterator[Batch[RecordedEvent]]:
        """Yield what is in the log after a position and then what comes, in batches, for as long as it is asked.

        A batch without events takes the follower past events that were not selected. The last position of each batch is
        where to go on from.

        Raises:
            LogUnavailable: the log is closed, or was closed meanwhile.
            ValueRefused: there is nothing in the log that could be asked for so.
        """
        check_query(criteria, after, limit)
        if limit == 0:
            raise ValueRefused("A batch has at least one event, or nobody would get ahead. Give a limit of 1 or more.")
        while True:
            await self._head.advanced_past(after)
            head = self._head.position
            if head - after <= limit and self._commits.latest.is_all(after, head):
                # What this process has just written need not be read back.
                events = self._commits.latest.selected(criteria)
            else:
                events = await self.read(criteria, after, limit)
            after = events[-1].position if len(events) == limit else max(head, events[-1].position if events else 0)
            yield Batch(events, after, max(head, after))

    async def advanced_past(self, position: int) -> None:
        """Return once the head is greater than ``position``.

        Raises:
            LogUnavailable: the log is closed, or was closed meanwhile.
        """
        await self._head.advanced_past(position)

    async def close(self) -> None:
        """Commit what is queued, then let go of the store. What comes later is refused.

        A store that hangs is left after a few seconds: what is queued then fails with a `twofold.errors.LogUnavailable`.
        """
        self._closing = True
        try:
            await self._commits.close()
        finally:
            self._head.close()
        await self._head.release()
        closing = asyncio.ensure_future(self.store.close())
        if await ends(closing, self._limits.releasing_seconds):
            closing.result()
        else:
            closing.cancel()
            seconds = self._limits.releasing_seconds
            _logger.warning("The log's store did not close within %g s, and was left as it is.", seconds)
