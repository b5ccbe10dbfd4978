"""Group commit: one queue in front of a store, and one transaction for all that is waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence

import msgspec

from twofold.clock import Clock
from twofold.errors import LogCorrupted, LogError, LogUnavailable, ValueRefused
from twofold.limits import LogLimits
from twofold.log.model import (
    Append,
    Appended,
    Condition,
    Conflict,
    Criteria,
    NewEvent,
    Outcome,
    RecordedEvent,
    selects,
)
from twofold.log.positions import are_answers
from twofold.log.rules import Checked, check_condition, check_position
from twofold.log.store import LogStore
from twofold.telemetry import Telemetry
from twofold.telemetry.events import LogCommitted

_MANY = 16
_LONGEST_SILENCE_SECONDS = 0.02


class Ticket:
    """An append in the queue; awaiting it gives the outcome.

    It may stand for a position before that is known: see `Guard`. Whoever awaits it may be cancelled without harm to it.
    It always has an outcome in the end, and within a few seconds once the log is being closed.
    """

    __slots__ = ("_waiters", "begun", "digest", "events", "guards", "id", "outcome", "size", "succeeds")

    def __init__(
        self,
        events: tuple[NewEvent, ...],
        guards: Sequence[Guard],
        id: str,
        digest: bytes,
        size: int,
        succeeds: Ticket | None = None,
    ) -> None:
        self.events = events
        self.size = size
        self.guards = guards
        self.id = id
        self.digest = digest
        self.succeeds = succeeds
        """The append that must not be lost if this one is stored: see `Log.submit`."""
        self.outcome: Outcome | LogError | None = None
        self.begun = False
        """Whether its commit has begun: from then on it may be in the log before anybody here is told."""
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

    @property
    def is_lost(self) -> bool:
        """Whether it may not be in the log and may get there another time: the log was away, or there was a conflict."""
        if isinstance(self.outcome, LogError):
            return not isinstance(self.outcome, ValueRefused)
        return isinstance(self.outcome, Conflict)

    def answer(self) -> None:
        """Wake whoever waits, now that there is an outcome."""
        # Not before: a batch that is divided asks again. And not for good, as each would keep all before it.
        self.succeeds = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class Guard(msgspec.Struct, frozen=True, gc=False):
    """A condition as callers put it: nothing selected after a position, or after an append that is still queued."""

    criteria: Criteria
    after: int | Ticket = 0


def check_guards(guards: Sequence[Guard]) -> None:
    """Check the guards of an append.

    Raises:
        ValueRefused: one is none, or asks for what no log can be asked for.
    """
    names = 0
    for guard in guards:
        if type(guard) is not Guard:
            raise ValueRefused(f"A guard is a Guard, and not {guard!r}; nothing was appended. Or give none at all.")
        if not isinstance(guard.after, Ticket):
            check_position(guard.after)
        names = check_condition(guard.criteria, names)


class Latest(msgspec.Struct, frozen=True):
    """The events that this process appended last, in one batch."""

    first: int
    events: list[NewEvent]
    recorded_at_us: int

    @property
    def last(self) -> int:
        """The position of the last one; of none, the one before they would have begun."""
        return self.first + len(self.events) - 1

    def is_all(self, after: int, head: int) -> bool:
        """Say whether these are all events after a position, up to the head."""
        return self.first == after + 1 and len(self.events) == head - after

    def selected(self, criteria: Criteria) -> list[RecordedEvent]:
        """Return those that are selected, as the log has them."""
        return [
            event.recorded(position, self.recorded_at_us)
            for position, event in enumerate(self.events, self.first)
            if selects(criteria, event)
        ]


class GroupCommit:
    """The queue of a log and its one writer. ``committed`` is told the position of the last event that was committed.

    While one batch is being made durable, whoever comes queues up; the next batch is all of them. Where many come, two
    batches take turns: while one waits for the disk, those in the other are answered and go on.
    """

    def __init__(
        self, store: LogStore, clock: Clock, committed: Callable[[int], None], limits: LogLimits, telemetry: Telemetry
    ) -> None:
        self.latest = Latest(1, [], 0)
        self._limits = limits
        self._telemetry = telemetry
        self._store = store
        self._clock = clock
        self._committed = committed
        self._queue: list[Ticket] = []
        self._taken: list[Ticket] = []
        self._unanswered: list[Ticket] = []
        self._writer: asyncio.Task[None] | None = None

    def add(self, ticket: Ticket) -> None:
        """Queue an append. Appends take effect in the order in which they were queued."""
        if self._writer is None:
            self._writer = asyncio.create_task(self._commit_queued())
        self._queue.append(ticket)

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
        most_events, most_bytes = self._limits.commit_events, self._limits.commit_bytes
        events = count = 0
        size = 0
        while count < most and events < most_events:
            ticket = self._queue[count]
            size += ticket.size
            if count and size > most_bytes:
                break
            ticket.begun = True
            events += max(1, len(ticket.events))
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    async def _commit(self, tickets: list[Ticket]) -> None:
        batch, appends = _resolved(tickets)
        if not batch:
            return
        outcomes: Sequence[Outcome | LogError]
        now_us, began = self._clock.now_us(), self._telemetry.began()
        try:
            outcomes = _checked(await self._written(appends, now_us), appends, self.latest.last)
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
            self._note_outcomes(batch, [_interrupted(error)] * len(batch))
            raise
        self._note_outcomes(batch, outcomes)
        self.latest = _latest(batch, now_us)
        if began is not None:
            self._telemetry.emit(_told(self._telemetry.since(began), batch))

    async def _written(self, appends: Checked, now_us: int) -> list[Outcome]:
        """Have the store write, and answer those who are done as soon as that costs these no time."""
        if not self._unanswered:
            return await self._store.write(appends, now_us)
        # Whoever holds up the store, such as another process with its lock, does not hold up those who are done.
        late = asyncio.get_running_loop().call_later(_LONGEST_SILENCE_SECONDS, self._answer)
        try:
            return await self._store.write(appends, now_us, meanwhile=self._answer)
        finally:
            late.cancel()

    def _note_outcomes(self, batch: list[Ticket], outcomes: Sequence[Outcome | LogError]) -> None:
        """Take note of what became of a batch. Those before it are answered by now, if the store said when."""
        self._answer()
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.outcome = outcome
        self._unanswered = batch

    def _strand(self) -> None:
        """Answer whoever has not been: nobody writes for them any more."""
        if any(each.outcome is None for each in self._taken):
            self._fail_taken(_interrupted("given up"))
        if self._queue:
            stranded, self._queue = self._queue, []
            self._note_outcomes(stranded, [_untouched()] * len(stranded))
        self._answer()

    def _fail_taken(self, error: LogError) -> None:
        failed = [each for each in self._taken if each.outcome is None]
        self._note_outcomes(failed, [error] * len(failed))

    def _answer(self) -> None:
        resolved, self._unanswered = self._unanswered, []
        for ticket in resolved:
            ticket.answer()
        self._committed(max([each.outcome.last for each in resolved if isinstance(each.outcome, Appended)], default=0))

    async def close(self) -> None:
        """Commit what is queued; a store that hangs is left after a few seconds, and who waits for it is told."""
        try:
            if self._writer is not None and not await ends(self._writer, self._limits.closing_seconds):
                self._writer.cancel()
                await ends(self._writer, 0)
        finally:
            # Whoever closes may have less time than this, and nobody may wait for what will not come.
            if self._writer is not None:
                self._writer.cancel()
            self._strand()


async def ends(task: asyncio.Future[None], seconds: float) -> bool:
    """Wait for a task, and say whether it has ended."""
    done, _ = await asyncio.wait([task], timeout=seconds)
    return bool(done)


def _checked(outcomes: Sequence[Outcome], appends: Sequence[Append], known: int) -> Sequence[Outcome]:
    """Return the outcomes of a batch, if that is what they are, and what was appended is behind a known position."""
    if len(outcomes) != len(appends) or not are_answers(outcomes, appends, known):
        raise LogCorrupted(
            f"The store answered {len(appends)} appends with {len(outcomes)} outcomes that are not one for each: "
            f"{outcomes!r:.200}. So what became of them is not known. Its adapter is at fault: "
            "`twofold.testing.LogConformance` tells where."
        )
    return outcomes


def _resolved(tickets: Sequence[Ticket]) -> tuple[list[Ticket], Checked]:
    """Turn tickets into positions, or into indexes in this batch; what counts on a refused append is refused."""
    batch: list[Ticket] = []
    appends = Checked()
    indexes: dict[Ticket, int] = {}
    for ticket in tickets:
        conditions = []
        if ticket.succeeds is not None and ticket.succeeds.is_lost:
            ticket.outcome = Conflict()
            ticket.answer()
            continue
        for guard in ticket.guards:
            criteria, after = guard.criteria, guard.after
            condition = _behind(criteria, after, indexes) if isinstance(after, Ticket) else Condition(criteria, after)
            if condition is None:
                ticket.outcome = Conflict()
                ticket.answer()
                break
            conditions.append(condition)
        else:
            indexes[ticket] = len(batch)
            batch.append(ticket)
            appends.append(Append(ticket.events, tuple(conditions), ticket.id, ticket.digest))
    return batch, appends


def _behind(criteria: Criteria, after: Ticket, indexes: dict[Ticket, int]) -> Condition | None:
    """Return the condition that counts from an append which was queued before; None if that one added nothing."""
    if isinstance(after.outcome, Appended) and not after.outcome.repeated:
        return Condition(criteria, after.outcome.last)
    index = indexes.get(after)
    return None if index is None else Condition(criteria, behind=index)


def _latest(batch: Sequence[Ticket], recorded_at_us: int) -> Latest:
    made = [(each.outcome, each) for each in batch if isinstance(each.outcome, Appended) and not each.outcome.repeated]
    first = made[0][0].first if made else 0
    return Latest(first, [event for _, ticket in made for event in ticket.events], recorded_at_us)


def _told(seconds: float, batch: Sequence[Ticket]) -> LogCommitted:
    """Return what there is to tell of a batch that has been written."""
    stored = [each for each in batch if isinstance(each.outcome, Appended) and not each.outcome.repeated]
    return LogCommitted(
        seconds=seconds,
        appends=len(batch),
        conflicts=sum(isinstance(each.outcome, Conflict) for each in batch),
        events=sum(len(each.events) for each in stored),
        bytes=sum(each.size for each in stored),
        outcome="failed" if isinstance(batch[0].outcome, LogError) else "stored",
    )


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
