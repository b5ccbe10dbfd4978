"""The cache: an answer is given again for as long as all that it was read from stays as it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from twofold.clock import Clock
from twofold.followers import Standing, checkpoints
from twofold.limits import QueryLimits
from twofold.messages import Query
from twofold.queries.answers import Answers, EncodedAnswer, Result, as_json, key_of
from twofold.queries.freshness import Freshness
from twofold.queries.versions import ViewVersions
from twofold.telemetry.events import QueryAnswered
from twofold.views import ViewStore

# How often it is found out whether a cached answer still holds, to know how long that takes.
_LOOKS_APART = 1000
_FORGETTING = 1.02


class _CachedAnswer(msgspec.Struct, frozen=True):
    answer: EncodedAnswer
    standings: Mapping[str, Standing]

    def holds(self, now: Mapping[str, Standing], position: int) -> bool:
        """Say whether it is still what would be found, and was read from views that were at a position."""
        return all(now.get(name) == then and then.position >= position for name, then in self.standings.items())


class AnswerCache:
    """Answers that took long to find. Each is given again only while all the followers stand where they stood before it."""

    def __init__(
        self, answers: Answers, store: ViewStore, versions: ViewVersions, clock: Clock, limits: QueryLimits
    ) -> None:
        self._answers = answers
        self._store = store
        self._versions = versions
        self._clock = clock
        self._limits = limits
        self._cached: OrderedDict[tuple[str, bytes], _CachedAnswer] = OrderedDict()
        self._bytes = 0
        self._asked = 0
        self._finding_seconds: dict[str, float] = {}
        self._looking_seconds: float | None = None

    async def answer(self, query: Query[Any], freshness: Freshness) -> EncodedAnswer:
        """Return an answer from views that are so fresh: a cached one that holds, or one that is found now.

        Raises:
            InvalidMessage: the query cannot be said in JSON as it is.
        """
        key = key_of(query)
        self._asked += 1
        if not self._is_worthwhile(type(query).message_name):
            return as_json((await self._find(query, freshness)).value)
        began = self._clock.monotonic()
        # Before it is found: what it is read from may move meanwhile, and then it must not be taken to hold still.
        standings = await checkpoints.standings(self._store)
        self._looking_seconds = _least(self._looking_seconds, self._clock.monotonic() - began)
        cached = self._cached.get(key)
        if cached is not None and cached.holds(standings, freshness.position):
            self._cached.move_to_end(key)
            if (telemetry := self._answers.telemetry).has_listeners:
                telemetry.emit(QueryAnswered(self._clock.monotonic() - began, key[0], "cached"))
            return cached.answer
        result = await self._find(query, freshness)
        answer = as_json(result.value)
        self._put(key, answer, self._dependencies(result.tables, standings))
        return answer

    def _is_worthwhile(self, name: str) -> bool:
        if self._looking_seconds is None or self._asked % _LOOKS_APART == 0:
            return True
        return self._finding_seconds.get(name, 0.0) >= self._limits.worthwhile_ratio * self._looking_seconds

    async def _find(self, query: Query[Any], freshness: Freshness) -> Result:
        began = self._clock.monotonic()
        result = await self._answers.find(query, freshness)
        name = type(query).message_name
        self._finding_seconds[name] = _least(self._finding_seconds.get(name), self._clock.monotonic() - began)
        return result

    def _dependencies(self, tables: Mapping[str, str], now: Mapping[str, Standing]) -> dict[str, Standing]:
        """Return what an answer depends on, if that is all known; where an earlier table was read, that may change unseen."""
        known = self._versions.standings(tables, now) or {}
        certain = {name: standing for name, standing in known.items() if standing is not None}
        return certain if len(certain) == len(known) and all(table == tables[table] for table in tables) else {}

    def _put(self, key: tuple[str, bytes], answer: EncodedAnswer, standings: Mapping[str, Standing]) -> None:
        self._evict(key)
        if standings and len(answer.data) <= self._limits.cached_bytes // 16:
            self._cached[key] = _CachedAnswer(answer, standings)
            self._bytes += _size(key, answer)
        while len(self._cached) > self._limits.cached_answers or self._bytes > self._limits.cached_bytes:
            self._evict(next(iter(self._cached)))

    def _evict(self, key: tuple[str, bytes]) -> None:
        cached = self._cached.pop(key, None)
        if cached is not None:
            self._bytes -= _size(key, cached.answer)


def _least(known: float | None, seconds: float) -> float:
    """Return about the least that something has taken lately: what else the machine was busy with says nothing about it."""
    return seconds if known is None else min(seconds, known * _FORGETTING)


def _size(key: tuple[str, bytes], answer: EncodedAnswer) -> int:
    return len(key[1]) + len(answer.data)
