"""Live queries: each is answered once for all who watch it, and again whenever what it was read from has moved."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from twofold.backoff import Backoff
from twofold.clock import Clock
from twofold.errors import InvalidReceipt, NotRunning, TwofoldError, ViewNotReady
from twofold.followers import StandingsWatcher
from twofold.limits import LiveLimits
from twofold.messages import Metadata, Query, Receipt, current, parse_receipts
from twofold.queries.answers import Answers, EncodedAnswer, Result, as_json, key_of
from twofold.telemetry.events import LiveFailed, LiveUpdated

if TYPE_CHECKING:
    from twofold.followers import Standing

A = TypeVar("A")

_LONGEST_DEBT_SECONDS = 0.01
_BACKOFF = Backoff(first_seconds=1.0, longest_seconds=1.0)
_ANYWHERE = 2**63

_logger = logging.getLogger("twofold.service")


class Update(msgspec.Struct, Generic[A], frozen=True):
    """An answer to a live query, which differs from the one before; ``data`` is the same as JSON.

    ``id`` stands for it when somebody watches again, ``since`` it. ``skipped`` says how many answers were left out before it
    because this subscriber was slow. All who watch the query get the same object: its answer is not to be changed.
    """

    answer: A
    data: bytes
    id: str
    skipped: int = 0


class QueryFailure(msgspec.Struct, frozen=True):
    """That a live query cannot be answered at the moment, why, and the correlation under which that was logged."""

    error: Exception
    correlation: str


class ResumeToken(msgspec.Struct, frozen=True):
    """What the id of an update says: where the views were at the least, and which answer it was."""

    receipt: Receipt
    digest: str

    def __str__(self) -> str:
        return f"{self.receipt}/{self.digest}"


def parse_resume_token(text: str) -> ResumeToken:
    """Read the id of an update.

    >>> parse_resume_token("bank@7/5cf4a0").receipt
    Receipt(service='bank', position=7)

    Raises:
        InvalidReceipt: it is not one.
    """
    receipt, _, digest = text.rpartition("/")
    if not (receipt and digest) or "," in receipt:
        raise InvalidReceipt(
            f"{text!r} is not the id of an update of a live query, such as 'bank@7/5cf4a0'. Leave it out to begin anew."
        )
    return ResumeToken(parse_receipts(receipt)[0], digest)


class Subscription(Generic[A]):
    """One subscriber's place among the answers to a live query; leave its ``with`` block to give it up."""

    def __init__(self, room: _Room, floor: int, digest: str) -> None:
        self._room = room
        self._floor = floor
        self._digest = digest
        self.number: int | None = None
        room.subscribers.add(self)

    def __enter__(self) -> Subscription[A]:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.leave(self)

    async def next(self) -> Update[A] | QueryFailure:
        """Return the first answer, or the next one once there is one: nothing is missed between two calls.

        A subscriber that falls too far behind is given the newest answer, which says how many were skipped.

        Raises:
            NotRunning: the service has ended.
        """
        room = self._room
        while room.position < self._floor:
            await room.wait(room.tried)
        if self.number is None:
            self.number = room.number - (room.digest != self._digest)
        while self.number == room.number:
            await room.wait(room.news)
        update = room.after(self.number)
        self.number += 1 + (update.skipped if isinstance(update, Update) else 0)
        return update


class _Room:
    """All who watch one query.

    The newest answers are kept for those who are still busy with an earlier one, up to a number and a size: who is behind
    even that goes on with the newest.
    """

    def __init__(self, key: tuple[str, bytes], query: Query[Any], live: LiveQueries) -> None:
        self.key = key
        self._query = query
        self._live = live
        self.subscribers: set[Subscription[Any]] = set()
        self.followers: Iterable[str] = ()
        self.position = -1
        self.digest = ""
        self.number = 0
        self._recent: deque[Update[Any] | QueryFailure] = deque()
        self._bytes = 0
        self._failure: QueryFailure | None = None
        self.news = asyncio.Event()
        self.tried = asyncio.Event()
        self._closed = False

    # For subscribers.

    async def wait(self, event: asyncio.Event) -> None:
        """Wait for an event of the room.

        Raises:
            NotRunning: the service has ended.
        """
        if not self._closed:
            await event.wait()
        if self._closed:
            raise self._live.ended()

    async def first(self, deadline: float) -> None:
        """Wait until there is an answer: where the last attempt failed, for another one; for a view that is built, longer."""
        if self.position < 0 or self._failure is not None:
            await self.wait(self.tried)
        while self._failure is not None:
            is_being_built = isinstance(self._failure.error, ViewNotReady)
            if not is_being_built or self._live.clock.monotonic() >= deadline:
                raise self._failure.error.with_traceback(None)
            await self.wait(self.tried)

    def after(self, number: int) -> Update[Any] | QueryFailure:
        """Return what comes after the entry of a number: the next one if it is kept, otherwise the newest."""
        behind = self.number - number
        if behind <= len(self._recent):
            return self._recent[-behind]
        newest = self._recent[-1]
        if isinstance(newest, QueryFailure):
            return newest
        return msgspec.structs.replace(newest, skipped=behind - 1)

    def leave(self, subscription: Subscription[Any]) -> None:
        """Let a subscriber go; after the last one there is no room."""
        self.subscribers.discard(subscription)
        if not self.subscribers:
            self._live.drop(self)

    def close(self) -> None:
        """Wake everybody up to say that there is nothing more."""
        self._closed = True
        self.news.set()
        self.tried.set()

    # Answering.

    async def run(self) -> None:
        """Answer the query again and again, until cancelled."""
        correlation = self._live.clock.new_id()
        current.set(Metadata(correlation=correlation))
        known: dict[str, Standing | None] | None = None
        while True:
            number = self.number
            try:
                known = await self._answer(await self._live.watcher.wait(known))
            except Exception as error:
                self._fail(QueryFailure(error, correlation))
                known = None
                await self._live.clock.sleep(_BACKOFF.pause_seconds(1, self._live.clock.random()))
            if self.number > number:
                await self._give_way()

    async def _answer(self, standings: dict[str, Standing]) -> dict[str, Standing | None]:
        """Answer from views that stand there or further on, and return where those stand that were read."""
        found = await self._live.find_in_turn(self._query)
        read = self._live.standings(found.tables.values(), standings)
        self.followers = tuple(read)
        position = min([each.position if each else 0 for each in read.values()], default=_ANYWHERE)
        # A replica that was switched to may be behind the one before, and nobody is told what is older than what they know.
        if position >= self.position:
            self.position = position
            self._say(found, as_json(found.value))
        self._attempted()
        # Where an earlier version of a view answers, it is the later one's moves that show when it does not any more.
        return read | self._live.standings(found.tables, standings)

    def _say(self, found: Result, answered: EncodedAnswer) -> None:
        receipt = Receipt(self._live.service, self.position if self.position < _ANYWHERE else 0)
        update = Update(found.value, answered.data, str(ResumeToken(receipt, answered.digest)))
        if answered.digest == self.digest and self._failure is None:
            self._recent[-1] = update
        else:
            self.digest, self._failure = answered.digest, None
            self._add(update)
            if (telemetry := self._live.telemetry).has_listeners:
                name = type(self._query).message_name
                telemetry.emit(LiveUpdated(len(answered.data), len(self.subscribers), name))

    def _fail(self, trouble: QueryFailure) -> None:
        known, self._failure = self._failure, trouble
        if known is None or repr(known.error) != repr(trouble.error):
            expected = isinstance(trouble.error, TwofoldError)
            _logger.error(
                "%s cannot be answered for those who watch it: %s", type(self._query).message_name, trouble.error,
                exc_info=None if expected else trouble.error, extra={"correlation": trouble.correlation},
            )  # fmt: skip
            self._add(trouble)
            if (telemetry := self._live.telemetry).has_listeners:
                name, error = type(self._query).message_name, type(trouble.error).__name__
                telemetry.emit(LiveFailed(len(self.subscribers), name, error))
        self._attempted()

    def _add(self, entry: Update[Any] | QueryFailure) -> None:
        self._recent.append(entry)
        self._bytes += _size(entry)
        self.number += 1
        limits = self._live.limits
        last = min([each.number for each in self.subscribers if each.number is not None], default=self.number - 1)
        needed = min(self.number - last, limits.kept_updates)
        while len(self._recent) > 1 and (len(self._recent) > needed or self._bytes > limits.kept_bytes):
            self._bytes -= _size(self._recent.popleft())
        self.news, told = asyncio.Event(), self.news
        told.set()

    def _attempted(self) -> None:
        self.tried, told = asyncio.Event(), self.tried
        told.set()

    async def _give_way(self) -> None:
        """Pause for as long as the others took to hear the news: however many they are, half of the time is for the rest."""
        began = self._live.clock.monotonic()
        await asyncio.sleep(0)
        await self._live.clock.sleep(self._live.clock.monotonic() - began)


def _size(entry: Update[Any] | QueryFailure) -> int:
    return len(entry.data) if isinstance(entry, Update) else 0


class LiveQueries:
    """The live queries of a service in this process: a room for each query that somebody watches."""

    def __init__(
        self,
        service: str,
        answers: Answers,
        find: Callable[[Query[Any]], Awaitable[Result]],
        watcher: StandingsWatcher,
        clock: Clock,
        limits: LiveLimits = LiveLimits(),
    ) -> None:
        self.service = service
        self.limits = limits
        self._answers = answers
        self.telemetry = answers.telemetry
        self._find = find
        self.watcher = watcher
        self.clock = clock
        self._turn = asyncio.Semaphore(limits.concurrent_answers)
        self._owed_seconds = 0.0
        self._rooms: dict[tuple[str, bytes], _Room] = {}
        self._tasks: dict[_Room, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def find_in_turn(self, query: Query[Any]) -> Result:
        """Have a query answered: of many, some at a time, and with pauses that are as long as finding answers takes."""
        async with self._turn:
            if self._owed_seconds >= _LONGEST_DEBT_SECONDS:
                owed, self._owed_seconds = self._owed_seconds, 0.0
                await self.clock.sleep(owed)
            began = self.clock.monotonic()
            found = await self._find(query)
            # What takes longer than this waits for the database, and leaves the process to others anyway.
            self._owed_seconds += min(self.clock.monotonic() - began, _LONGEST_DEBT_SECONDS)
            return found

    def standings(self, tables: Iterable[str], now: Mapping[str, Standing]) -> dict[str, Standing | None]:
        """Return where those stand that fill some tables; if that is not known of one, all that fill any."""
        known = self._answers.standings(tables, now)
        return {name: now.get(name) for name in self._answers.followers} if known is None else known

    async def subscribe(
        self, query: Query[A], floor: int, digest: str, deadline: float, reach: Callable[[str], Awaitable[None]]
    ) -> Subscription[A]:
        """Return a subscriber's place, once there is an answer and ``reach`` has returned for all that it was read from.

        It is told nothing from before the position ``floor``, and the answer of that digest only after another one.
        """
        room = self._room(query)
        subscription: Subscription[A] = Subscription(room, floor, digest)
        try:
            await room.first(deadline)
            for follower in room.followers:
                await reach(follower)
        except BaseException:
            room.leave(subscription)
            raise
        return subscription

    def _room(self, query: Query[Any]) -> _Room:
        key = key_of(query)
        room = self._rooms.get(key)
        if room is None:
            if self._closed:
                raise self.ended()
            room = self._rooms[key] = _Room(key, query, self)
            self._tasks[room] = asyncio.create_task(room.run(), name=f"{self.service} live {type(query).message_name}")
            if self._looking is None:
                self._looking = asyncio.create_task(
                    self.watcher.run(), name=f"{self.service} looks where followers stand"
                )
        return room

    def ended(self) -> NotRunning:
        """Return the error for those who watch, or begin to, when nothing is answered any more."""
        return NotRunning(f"{self.service} has ended. Watch again, from a process that runs.")

    def drop(self, room: _Room) -> None:
        """Answer a query no more, as nobody watches it."""
        if room in self._tasks:
            del self._rooms[room.key]
            self._end(self._tasks.pop(room))
        if not self._rooms and self._looking is not None:
            self._end(self._looking)
            self._looking = None

    def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End what runs, and tell all who watch."""
        self._closed = True
        for room in list(self._rooms.values()):
            room.close()
            self.drop(room)
        await asyncio.gather(*self._ending, return_exceptions=True)
