"""Broadcasts: the answers to one query, for all who have subscribed to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec

from twofold.clock import Clock
from twofold.errors import NotRunning, ViewNotReady
from twofold.limits import LiveLimits
from twofold.messages import Query, Receipt
from twofold.queries.answers import as_json
from twofold.queries.freshness import Freshness
from twofold.queries.updates import QueryFailure, ResumeToken, Update

A = TypeVar("A")

ANYWHERE = 2**63
"""The position of an answer that was read from no view."""


class Subscription(Generic[A]):
    """One subscriber's place among the answers to a live query; leave its ``with`` block to give it up.

    It is told nothing from before the position ``floor``, and the answer of that ``digest`` only after another one.
    """

    def __init__(self, broadcast: Broadcast, floor: int, digest: str) -> None:
        self._broadcast = broadcast
        self._floor = floor
        self._digest = digest
        self.number: int | None = None
        broadcast.subscriptions.add(self)

    def __enter__(self) -> Subscription[A]:
        return self

    def __exit__(self, *_: object) -> None:
        self._broadcast.leave(self)

    async def next(self) -> Update[A] | QueryFailure:
        """Return the first answer, or the next one once there is one: nothing is missed between two calls.

        A subscriber that falls too far behind is given the newest answer, which says how many were skipped.

        Raises:
            NotRunning: the service has ended.
        """
        broadcast = self._broadcast
        while broadcast.position < self._floor:
            await broadcast.wait(broadcast.attempted)
        if self.number is None:
            self.number = broadcast.number - (broadcast.digest != self._digest)
        while self.number == broadcast.number:
            await broadcast.wait(broadcast.news)
        update = broadcast.after(self.number)
        self.number += 1 + (update.skipped if isinstance(update, Update) else 0)
        return update


class Broadcast:
    """The answers to one query, told to all its subscribers; ``abandoned`` is called once the last of these has left.

    The newest answers are kept for those who are still busy with an earlier one, up to a number and a size: who is behind
    even that goes on with the newest.
    """

    def __init__(
        self, service: str, key: tuple[str, bytes], query: Query[Any], abandoned: Callable[[Broadcast], None],
        limits: LiveLimits,
    ) -> None:  # fmt: skip
        self.key = key
        self.query = query
        self._service = service
        self._abandoned = abandoned
        self._limits = limits
        self.subscriptions: set[Subscription[Any]] = set()
        self.followers: Iterable[str] = ()
        """Those who fill what the latest answer was read from."""
        self.position = -1
        """Where all of them were when it was read; -1 as long as there is none."""
        self.digest = ""
        self.number = 0
        self._recent: deque[Update[Any] | QueryFailure] = deque()
        self._bytes = 0
        self._failure: QueryFailure | None = None
        self.news = asyncio.Event()
        self.attempted = asyncio.Event()
        self._closed = False

    # For subscribers.

    async def wait(self, event: asyncio.Event) -> None:
        """Wait for an event of this broadcast.

        Raises:
            NotRunning: the service has ended.
        """
        if not self._closed:
            await event.wait()
        if self._closed:
            raise has_ended(self._service)

    async def first(self, freshness: Freshness, clock: Clock) -> None:
        """Wait until there is an answer: where the last attempt failed, for another; for a view that is filled, longer."""
        if self.position < 0 or self._failure is not None:
            await self.wait(self.attempted)
        while self._failure is not None:
            is_being_filled = isinstance(self._failure.error, ViewNotReady)
            if not is_being_filled or not freshness.seconds_left(clock):
                raise self._failure.error.with_traceback(None)
            await self.wait(self.attempted)

    def after(self, number: int) -> Update[Any] | QueryFailure:
        """Return what comes after the one of a number: the next one if it is kept, otherwise the newest."""
        behind = self.number - number
        if behind <= len(self._recent):
            return self._recent[-behind]
        newest = self._recent[-1]
        if isinstance(newest, QueryFailure):
            return newest
        return msgspec.structs.replace(newest, skipped=behind - 1)

    def leave(self, subscription: Subscription[Any]) -> None:
        """Let a subscriber go."""
        self.subscriptions.discard(subscription)
        if not self.subscriptions:
            self._abandoned(self)

    def close(self) -> None:
        """Wake everybody up to say that there is nothing more."""
        self._closed = True
        self.news.set()
        self.attempted.set()

    # For who answers.

    def tell(self, value: Any, position: int) -> Update[Any] | None:
        """Tell an answer that was read from views at a position; return it, or None if it is the one that was told last."""
        told = None
        # A replica that was switched to may be behind the one before, and nobody is told what is older than what they know.
        if position >= self.position:
            self.position = position
            told = self._tell(value)
        self._attempt()
        return told

    def _tell(self, value: Any) -> Update[Any] | None:
        encoded = as_json(value)
        receipt = Receipt(self._service, self.position if self.position < ANYWHERE else 0)
        update = Update(value, encoded.data, str(ResumeToken(receipt, encoded.digest)))
        if encoded.digest == self.digest and self._failure is None:
            self._recent[-1] = update
            return None
        self.digest, self._failure = encoded.digest, None
        self._add(update)
        return update

    def fail(self, failure: QueryFailure) -> bool:
        """Tell that there is no answer at the moment; return whether that is for another reason than was told last."""
        known, self._failure = self._failure, failure
        is_news = known is None or repr(known.error) != repr(failure.error)
        if is_news:
            self._add(failure)
        self._attempt()
        return is_news

    def _add(self, told: Update[Any] | QueryFailure) -> None:
        self._recent.append(told)
        self._bytes += _size(told)
        self.number += 1
        last = min([each.number for each in self.subscriptions if each.number is not None], default=self.number - 1)
        needed = min(self.number - last, self._limits.kept_updates)
        while len(self._recent) > 1 and (len(self._recent) > needed or self._bytes > self._limits.kept_bytes):
            self._bytes -= _size(self._recent.popleft())
        waited_for, self.news = self.news, asyncio.Event()
        waited_for.set()

    def _attempt(self) -> None:
        waited_for, self.attempted = self.attempted, asyncio.Event()
        waited_for.set()


def _size(told: Update[Any] | QueryFailure) -> int:
    return len(told.data) if isinstance(told, Update) else 0


def has_ended(service: str) -> NotRunning:
    """Return the error for those who watch, or begin to, when nothing is answered any more."""
    return NotRunning(f"{service} has ended. Watch again, from a process that runs.")
