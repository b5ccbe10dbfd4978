"""The log: one queue in front of a store, one commit for all that is waiting, and followers that wake when it moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from twofold.clock import Clock
from twofold.errors import LogCorrupted, LogError, LogUnavailable, ValueRefused
from twofold.log.model import (
    ALL,
    Append,
    Appended,
    Condition,
    Conflict,
    Criteria,
    Entry,
    NewEvent,
    Outcome,
    Recorded,
    Reused,
    selects,
)
from twofold.log.recorder import RecordableEvent
from twofold.log.rules import Checked, check_condition, check_position, check_query, recorded_size, size_of
from twofold.log.store import Store

_EVENTS_PER_COMMIT = 4096
_BYTES_PER_COMMIT = 4 << 20
_MANY = 16
_LONGEST_SILENCE_SECONDS = 0.02
_POLL_SECONDS = 0.05
_CLOSING_SECONDS = 4.0
_RELEASING_SECONDS = 1.0
_OUTCOMES = {Appended, Conflict, Reused}

_logger = logging.getLogger(__name__)


class Ticket:
    """An append in the queue; awaiting it gives the outcome.

    It may stand for a position before that is known: see `Guard`. Whoever awaits it may be cancelled without harm to it.
    It always has an outcome in the end, and within a few seconds once the log is being closed.
    """

    __slots__ = ("_waiters", "digest", "events", "guards", "id", "outcome", "size")

    def __init__(
        self, events: tuple[NewEvent, ...], guards: Sequence[Guard], id: str, digest: bytes, size: int
    ) -> None:
        self.events = events
        self.size = size
        self.guards = guards
        self.id = id
        self.digest = digest
        self.outcome: Outcome | LogError | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def __await__(self) -> Generator[asyncio.Future[None], None, Outcome]:
        if self.outcome is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            yield from waiter
        if self.outcome is None:
            raise AssertionError("woken without an outcome")
        if isinstance(self.outcome, LogError):
            # Many wait for one commit and raise its one error: none shall show the others' traces.
            raise self.outcome.with_traceback(None)
        return self.outcome

    def answer(self) -> None:
        """Wake whoever waits, now that there is an outcome."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class Guard(msgspec.Struct, frozen=True, gc=False):
    """A condition as callers put it: nothing selected after a position, or after an append that is still queued."""

    criteria: Criteria
    after: int | Ticket = 0


E = TypeVar("E")


class Batch(msgspec.Struct, Generic[E], frozen=True):
    """What a follower gets: selected events, and the position up to which nothing else is selected."""

    events: list[E]
    position: int
    head: int


class _Latest(msgspec.Struct, frozen=True):
    """The events that this process appended last, in one batch."""

    first: int
    events: list[NewEvent]
    recorded_at_us: int

    def is_all(self, after: int, head: int) -> bool:
        """Say whether these are all events after a position, up to the head."""
        return self.first == after + 1 and len(self.events) == head - after

    def selected(self, criteria: Criteria) -> list[Recorded]:
        """Return those that are selected, as the log has them."""
        return [
            event.recorded(position, self.recorded_at_us)
            for position, event in enumerate(self.events, self.first)
            if selects(criteria, event)
        ]


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

    def __init__(self, store: Store, clock: Clock, head: int) -> None:
        self.store = store
        self._clock = clock
        self._head = head
        self._queue: list[Ticket] = []
        self._taken: list[Ticket] = []
        self._unanswered: list[Ticket] = []
        self._latest = _Latest(1, [], 0)
        self._writer: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._closing = False

    @classmethod
    async def open(cls, store: Store, clock: Clock, *, read_only: bool = False) -> Log:
        """Open the store and find the head; a store that cannot be used is closed again.

        Raises:
            LogUnavailable: the store cannot be opened or, read-only, holds no log.
        """
        try:
            await store.open(read_only=read_only)
            return cls(store, clock, await store.head())
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

    def submit(self, events: Sequence[NewEvent], *guards: Guard, id: str = "", digest: bytes = b"") -> Ticket:
        """Queue an append without waiting for it. Appends take effect in the order in which they were queued.

        Raises:
            LogUnavailable: the log is closing.
            ValueRefused: no log takes what was given; nothing was queued.
        """
        events = tuple(events)
        _check_guards(guards)
        return self._queued(Ticket(events, guards, id, digest, size_of(events, id, digest)))

    def submit_recorded(
        self, recorded: Sequence[RecordableEvent], guards: Sequence[Guard], id: str, digest: bytes
    ) -> Ticket:
        """Queue what the recorder has made, under guards of criteria that were checked: neither is looked at again.

        Raises:
            LogUnavailable: the log is closing.
            ValueRefused: no log takes so much, or such an id; nothing was queued.
        """
        events = tuple([each.new for each in recorded])
        return self._queued(Ticket(events, guards, id, digest, recorded_size(events, id)))

    def _queued(self, ticket: Ticket) -> Ticket:
        if self._closing:
            raise LogUnavailable("The log is closing: nothing was appended. Send the command to a running process.")
        if self._writer is None:
            self._writer = asyncio.create_task(self._commit_queued())
        self._queue.append(ticket)
        return ticket

    # Group commit: while one batch is being made durable, whoever comes queues up; the next batch is all of them. Where many
    # come, two batches take turns: while one waits for the disk, those in the other are answered and go on.

    async def _commit_queued(self) -> None:
        try:
            while self._queue:
                self._taken = self._take_batch()
                try:
                    await self._commit(self._taken)
                except Exception as error:
                    # A fault of the log's own, or of the clock: those who queue behind them go on.
                    self._fail_taken(_failed(error, len(self._taken)))
                if len(self._queue) < _MANY:
                    self._answer()
                    # Whoever has just been answered may have more to append: it joins the next batch.
                    await asyncio.sleep(0)
        finally:
            self._writer = None
            # Only an interrupted writer leaves anybody behind.
            self._strand()

    def _take_batch(self) -> list[Ticket]:
        waiting = len(self._queue) + len(self._unanswered)
        most = len(self._queue) if waiting < 2 * _MANY else min(len(self._queue), (waiting + 1) // 2)
        events = count = 0
        size = 0
        while count < most and events < _EVENTS_PER_COMMIT:
            ticket = self._queue[count]
            size += ticket.size
            if count and size > _BYTES_PER_COMMIT:
                break
            events += max(1, len(ticket.events))
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    async def _commit(self, tickets: list[Ticket]) -> None:
        batch, appends = _resolved(tickets)
        if not batch:
            return
        outcomes: Sequence[Outcome | LogError]
        now_us = self._clock.now_us()
        try:
            outcomes = _checked(await self._written(appends, now_us), len(batch))
        except ValueRefused as error:
            if len(batch) > 1:
                # Nothing was stored, because of one of them: its neighbours are stored without it.
                middle = len(batch) // 2
                await self._commit(batch[:middle])
                await self._commit(batch[middle:])
                return
            outcomes = [error]
        except LogError as error:
            outcomes = [error] * len(batch)
        except Exception as error:
            # A fault in the adapter: those who queue behind it go on.
            outcomes = [_failed(error, len(batch))] * len(batch)
        except BaseException as error:
            self._settle(batch, [_interrupted(error)] * len(batch))
            raise
        self._settle(batch, outcomes)
        self._latest = _latest(batch, now_us)

    async def _written(self, appends: Checked, now_us: int) -> list[Outcome]:
        """Have the store write, and answer those who are done as soon as that costs these no time."""
        if not self._unanswered:
            return await self.store.write(appends, now_us)
        # Whoever holds up the store, such as another process with its lock, does not hold up those who are done.
        late = asyncio.get_running_loop().call_later(_LONGEST_SILENCE_SECONDS, self._answer)
        try:
            return await self.store.write(appends, now_us, meanwhile=self._answer)
        finally:
            late.cancel()

    def _settle(self, batch: list[Ticket], outcomes: Sequence[Outcome | LogError]) -> None:
        """Take note of what became of a batch. Those before it are answered by now, if the store said when."""
        self._answer()
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.outcome = outcome
        self._unanswered = batch

    def _strand(self) -> None:
        """Answer whoever has not been: nobody writes for them any more."""
        self._fail_taken(_interrupted("given up"))
        stranded, self._queue = self._queue, []
        self._settle(stranded, [_untouched()] * len(stranded))
        self._answer()

    def _fail_taken(self, error: LogError) -> None:
        failed = [each for each in self._taken if each.outcome is None]
        self._settle(failed, [error] * len(failed))

    def _answer(self) -> None:
        settled, self._unanswered = self._unanswered, []
        for ticket in settled:
            ticket.answer()
        self._moved(max([each.outcome.last for each in settled if isinstance(each.outcome, Appended)], default=0))

    # Reading and following.

    async def read(
        self, criteria: Criteria = ALL, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[Recorded]:
        """Return up to ``limit`` events after a position; backwards, those before it, newest first (0: from the end)."""
        events = await self.store.read(criteria, after, limit, backwards=backwards)
        if criteria == ALL and not backwards:
            _check_contiguous(events, after)
        return events

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Return what a state is folded from: up to ``limit`` events after a position, without their circumstances."""
        return await self.store.history(criteria, after, limit)

    @property
    def known_head(self) -> int:
        """The position of the last event that this object has seen; `head` asks the store."""
        return self._head

    async def head(self) -> int:
        """Return the position of the last event in the log, by whichever process it was appended.

        Raises:
            LogCorrupted: the log ends earlier than it did.
        """
        known = self._head
        found = await self.store.head()
        if found < known:
            raise LogCorrupted(
                f"The log ended at position {known}, and now it ends at {found}: its database was replaced, or taken back "
                "to an earlier state, while this process ran. Stop all processes that use it, and look."
            )
        self._moved(found)
        return self._head

    async def follow(
        self, criteria: Criteria = ALL, after: int = 0, limit: int = 2000
    ) -> AsyncIterator[Batch[Recorded]]:
        """Yield what is in the log after a position and then what comes, in batches, for as long as it is asked.

        A batch without events moves the follower past events that were not selected. The last position of each batch is
        where to go on from.

        Raises:
            LogUnavailable: the log is closed, or was closed meanwhile.
            ValueRefused: there is nothing in the log that could be asked for so.
        """
        check_query(criteria, after, limit)
        if limit == 0:
            raise ValueRefused("A batch has at least one event, or nobody would get ahead. Give a limit of 1 or more.")
        while True:
            await self.moved_past(after)
            head = self._head
            if head - after <= limit and self._latest.is_all(after, head):
                # What this process has just written need not be read back.
                events = self._latest.selected(criteria)
            else:
                events = await self.read(criteria, after, limit)
            after = events[-1].position if len(events) == limit else max(head, events[-1].position if events else 0)
            yield Batch(events, after, max(head, after))

    async def moved_past(self, position: int) -> None:
        """Return once the head is greater than ``position``.

        It may be for ever that nothing comes; closing the log ends it.

        Raises:
            LogUnavailable: the log is closed, or was closed meanwhile.
        """
        if self._head > position:
            return
        if self._closing:
            raise _closed()
        moved = asyncio.get_running_loop().create_future()
        self._waiting.append((position, moved))
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        try:
            await moved
        except asyncio.CancelledError:
            self._waiting = [each for each in self._waiting if each[1] is not moved]
            raise

    def _moved(self, head: int) -> None:
        if head <= self._head:
            return
        self._head = head
        if self._waiting:
            for position, moved in self._waiting:
                if position < head and not moved.done():
                    moved.set_result(None)
            self._waiting = [(position, moved) for position, moved in self._waiting if not moved.done()]

    async def _watch(self) -> None:
        """Look for other processes' appends while anybody waits: the store's hint first, asking for the head always."""
        try:
            while True:
                with suppress(LogUnavailable):
                    await self.head()
                    await self.store.changed(_POLL_SECONDS)
                    continue
                await self._clock.sleep(_POLL_SECONDS)
        except BaseException as error:
            # Whoever waits would wait for ever.
            self._watcher = None
            self._give_up(error if isinstance(error, Exception) else _closed())
            if not isinstance(error, Exception):
                raise

    def _give_up(self, error: Exception) -> None:
        for _, moved in self._waiting:
            if not moved.done():
                moved.set_exception(error)
        self._waiting = []

    async def close(self) -> None:
        """Commit what is queued, then let go of the store. What comes later is refused.

        A store that hangs is left after a few seconds: what is queued then fails with a `twofold.errors.LogUnavailable`.
        """
        self._closing = True
        try:
            if self._writer is not None and not await _ends(self._writer, _CLOSING_SECONDS):
                self._writer.cancel()
                await _ends(self._writer, 0)
        finally:
            # Whoever closes may have less time than this, and nobody may wait for what will not come.
            if self._writer is not None:
                self._writer.cancel()
            self._strand()
            self._give_up(_closed())
        if self._watcher is not None:
            self._watcher.cancel()
            await _ends(self._watcher, _RELEASING_SECONDS)
        closing = asyncio.ensure_future(self.store.close())
        if await _ends(closing, _RELEASING_SECONDS):
            closing.result()
        else:
            closing.cancel()
            _logger.warning("The log's store did not close within %g s, and was left as it is.", _RELEASING_SECONDS)


async def _ends(task: asyncio.Future[None], seconds: float) -> bool:
    """Wait for a task, and say whether it has ended."""
    done, _ = await asyncio.wait([task], timeout=seconds)
    return bool(done)


def _check_guards(guards: Sequence[Guard]) -> None:
    names = 0
    for guard in guards:
        if type(guard) is not Guard:
            raise ValueRefused(f"A guard is a Guard, and not {guard!r}; nothing was appended. Or give none at all.")
        if not isinstance(guard.after, Ticket):
            check_position(guard.after)
        names = check_condition(guard.criteria, names)


def _checked(outcomes: Sequence[Outcome], appends: int) -> Sequence[Outcome]:
    """Return the outcomes of a batch, if that is what they are."""
    if len(outcomes) != appends or not _OUTCOMES.issuperset(map(type, outcomes)):
        raise LogCorrupted(
            f"The store answered {appends} appends with {len(outcomes)} outcomes, not one for each, so what became of them is "
            "not known. Its adapter is at fault: `twofold.testing.LogConformance` tells where."
        )
    return outcomes


def _resolved(tickets: Sequence[Ticket]) -> tuple[list[Ticket], Checked]:
    """Turn tickets into positions, or into indexes in this batch; what counts on a refused append is refused."""
    batch: list[Ticket] = []
    appends = Checked()
    places: dict[Ticket, int] = {}
    for ticket in tickets:
        conditions = []
        for guard in ticket.guards:
            criteria, after = guard.criteria, guard.after
            condition = _behind(criteria, after, places) if isinstance(after, Ticket) else Condition(criteria, after)
            if condition is None:
                ticket.outcome = Conflict()
                ticket.answer()
                break
            conditions.append(condition)
        else:
            places[ticket] = len(batch)
            batch.append(ticket)
            appends.append(Append(ticket.events, tuple(conditions), ticket.id, ticket.digest))
    return batch, appends


def _behind(criteria: Criteria, after: Ticket, places: dict[Ticket, int]) -> Condition | None:
    """Return the condition that counts from an append which was queued before; None if that one added nothing."""
    if isinstance(after.outcome, Appended) and not after.outcome.repeated:
        return Condition(criteria, after.outcome.last)
    place = places.get(after)
    return None if place is None else Condition(criteria, behind=place)


def _latest(batch: Sequence[Ticket], recorded_at_us: int) -> _Latest:
    made = [(each.outcome, each) for each in batch if isinstance(each.outcome, Appended) and not each.outcome.repeated]
    first = made[0][0].first if made else 0
    return _Latest(first, [event for _, ticket in made for event in ticket.events], recorded_at_us)


def _closed() -> LogUnavailable:
    return LogUnavailable("The log is closed in this process: nothing comes any more.")


def _untouched() -> LogUnavailable:
    return LogUnavailable("The log's writer was interrupted: nothing was appended. Send the command again.")


def _interrupted(reason: BaseException | str) -> LogUnavailable:
    return LogUnavailable(
        f"The log's writer was interrupted ({reason!r}) during a commit, which may have been stored all the same. Send the "
        "command again with the same id."
    )


def _failed(error: Exception, appends: int) -> LogUnavailable:
    unavailable = LogUnavailable(
        f"A commit of {appends} appends failed with {error!r}, which no store should raise, so whether they were stored is "
        "not known. Its adapter is at fault: `twofold.testing.LogConformance` tells where."
    )
    unavailable.__cause__ = error
    return unavailable


def _check_contiguous(events: list[Recorded], after: int) -> None:
    if not events:
        return
    first = max(after, 0) + 1
    expected = list(range(first, first + len(events)))
    found = [event.position for event in events]
    if found != expected:
        gap = next(want for want, have in zip(expected, found, strict=True) if want != have)
        raise LogCorrupted(
            f"The log has no event at position {gap}, though it has later ones. Positions have no gaps, so rows were "
            "lost or changed by hand: stop the service and restore the database from a backup."
        )
