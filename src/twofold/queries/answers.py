"""Answers: found by the function that gives them, encoded, and kept for as long as what they were read from stays as it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from twofold.clock import Clock
from twofold.errors import UnknownMessage
from twofold.followers import Standing, checkpoints
from twofold.limits import QueryLimits
from twofold.messages import Query, encode, received
from twofold.queries.views import Answer, Reading, Views
from twofold.telemetry import Telemetry
from twofold.telemetry.events import QueryAnswered, QueryFailed
from twofold.views import ViewStore

_DIGEST_BYTES = 12

# How often it is found out whether a cached answer still holds, to know how long that takes.
_LOOKS_APART = 1000
_FORGETTING = 1.02


class EncodedAnswer(msgspec.Struct, frozen=True):
    """An answer as JSON. ``digest`` is another one whenever ``data`` is, in every process and after every restart."""

    data: bytes
    digest: str


def as_json(value: Any) -> EncodedAnswer:
    """Encode an answer.

    >>> as_json([1, 2]).data
    b'[1,2]'
    """
    data = encode(value)
    return EncodedAnswer(data, blake2b(data, digest_size=_DIGEST_BYTES).hexdigest())


def key_of(query: Query[Any]) -> tuple[str, bytes]:
    """Return what tells a query from all others: its name, and itself as JSON.

    Raises:
        InvalidMessage: JSON does not tell it from another one, as it has one null for all floats that are no numbers.
    """
    return type(query).message_name, encode(received(query))


class Result(msgspec.Struct, frozen=True):
    """An answer, and the tables that it was to be read from, each with the one that was read for it."""

    value: Any
    tables: Mapping[str, str]


class Answers:
    """The functions that answer queries; ``followers`` says which tables each fills."""

    def __init__(
        self,
        answers: Iterable[Answer],
        followers: Mapping[str, Collection[str]],
        store: ViewStore,
        telemetry: Telemetry,
    ) -> None:
        self.telemetry = telemetry
        self._by_query: dict[type, Answer] = {answer.query: answer for answer in answers}
        self._store = store
        self.followers = frozenset(followers)
        self._filled_by = {table: name for name, tables in followers.items() for table in tables}

    def check(self, query: Query[Any]) -> None:
        """Check that there is an answer.

        Raises:
            UnknownMessage: there is none.
        """
        if type(query) not in self._by_query:
            raise UnknownMessage(f"Nothing answers {type(query).__name__} here. Add its answer to queries=[…].")

    async def find(self, query: Query[Any], reading: Reading) -> Result:
        """Have a query answered; what it reads is what ``reading`` gives it."""
        views = Views(self._store, reading, self._filled_by)
        began, name = self.telemetry.began(), type(query).message_name
        try:
            value = await self._by_query[type(query)].function(query, views)
        except Exception as error:
            if began is not None:
                self.telemetry.emit(QueryFailed(self.telemetry.since(began), name, type(error).__name__))
            raise
        if began is not None:
            self.telemetry.emit(QueryAnswered(self.telemetry.since(began), name, "found"))
        return Result(value, views.tables)

    def standings(self, tables: Iterable[str], now: Mapping[str, Standing]) -> dict[str, Standing | None] | None:
        """Return where those stand that fill some tables; None if of one it is not known who does.

        An earlier version of a view is filled by a follower of its table's name.
        """
        followers = [self._filled_by.get(table, table) for table in tables]
        if any(follower not in now and follower not in self.followers for follower in followers):
            return None
        return {follower: now.get(follower) for follower in followers}


class _CachedAnswer(msgspec.Struct, frozen=True):
    answered: EncodedAnswer
    standings: dict[str, Standing]

    def holds(self, now: Mapping[str, Standing], position: int) -> bool:
        """Say whether it is still what would be found, and was read from views that were at a position."""
        return all(now.get(name) == then and then.position >= position for name, then in self.standings.items())


class AnswerCache:
    """Answers that took long to find. Each is given again only while all the followers stand where they stood before it."""

    def __init__(self, answers: Answers, store: ViewStore, clock: Clock, limits: QueryLimits = QueryLimits()) -> None:
        self._answers = answers
        self._limits = limits
        self._store = store
        self._clock = clock
        self._kept: OrderedDict[tuple[str, bytes], _CachedAnswer] = OrderedDict()
        self._bytes = 0
        self._asked = 0
        self._finding_seconds: dict[str, float] = {}
        self._looking_seconds: float | None = None

    async def answered(self, query: Query[Any], position: int, find: Callable[[], Awaitable[Result]]) -> EncodedAnswer:
        """Return an answer from views that have reached a position: a kept one that holds, or one that is found now.

        Raises:
            InvalidMessage: the query cannot be said in JSON as it is.
        """
        key = key_of(query)
        self._asked += 1
        if not self._is_worthwhile(type(query).message_name):
            return as_json((await self._find(query, find)).value)
        began = self._clock.monotonic()
        # Before it is found: what it is read from may move meanwhile, and then it must not be taken to hold still.
        standings = await checkpoints.standings(self._store)
        self._looking_seconds = _least(self._looking_seconds, self._clock.monotonic() - began)
        kept = self._kept.get(key)
        if kept is not None and kept.holds(standings, position):
            self._kept.move_to_end(key)
            if (telemetry := self._answers.telemetry).has_listeners:
                telemetry.emit(QueryAnswered(self._clock.monotonic() - began, type(query).message_name, "cached"))
            return kept.answered
        found = await self._find(query, find)
        answered = as_json(found.value)
        self._keep(key, answered, self._certain(found.tables, standings))
        return answered

    def _certain(self, tables: Mapping[str, str], now: Mapping[str, Standing]) -> dict[str, Standing]:
        """Return what an answer depends on, if that is all known; where an earlier table was read, that may change unseen."""
        known = self._answers.standings(tables, now) or {}
        certain = {name: standing for name, standing in known.items() if standing is not None}
        return certain if len(certain) == len(known) and all(table == tables[table] for table in tables) else {}

    def _is_worthwhile(self, name: str) -> bool:
        if self._looking_seconds is None or self._asked % _LOOKS_APART == 0:
            return True
        return self._finding_seconds.get(name, 0.0) >= self._limits.worthwhile_ratio * self._looking_seconds

    async def _find(self, query: Query[Any], find: Callable[[], Awaitable[Result]]) -> Result:
        began = self._clock.monotonic()
        found = await find()
        name = type(query).message_name
        self._finding_seconds[name] = _least(self._finding_seconds.get(name), self._clock.monotonic() - began)
        return found

    def _keep(self, key: tuple[str, bytes], answered: EncodedAnswer, standings: dict[str, Standing]) -> None:
        self._forget(key)
        if standings and len(answered.data) <= self._limits.cached_bytes // 16:
            self._kept[key] = _CachedAnswer(answered, standings)
            self._bytes += _size(key, answered)
        while len(self._kept) > self._limits.cached_answers or self._bytes > self._limits.cached_bytes:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[str, bytes]) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= _size(key, kept.answered)


def _least(known: float | None, seconds: float) -> float:
    """Return about the least that something has taken lately: what else the machine was busy with says nothing about it."""
    return seconds if known is None else min(seconds, known * _FORGETTING)


def _size(key: tuple[str, bytes], answered: EncodedAnswer) -> int:
    return len(key[1]) + len(answered.data)
