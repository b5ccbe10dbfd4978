"""Where a query comes in: what it waits for is made of its receipts, and then it is answered once, as JSON, or live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from twofold.clock import Clock
from twofold.followers import PositionWaiter
from twofold.limits import Limits
from twofold.log import Log
from twofold.messages import Query
from twofold.queries.answers import Answers, EncodedAnswer
from twofold.queries.broadcast import Subscription
from twofold.queries.cache import AnswerCache
from twofold.queries.freshness import After, Freshness, Receipts
from twofold.queries.live import LiveQueries
from twofold.queries.versions import ViewVersions
from twofold.queries.views import Answer
from twofold.views import ViewStore

A = TypeVar("A")


class QueryHandler:
    """Answers the queries of a service, each from views that have seen what the receipts stand for that it comes with.

    ``inboxes`` are the followers that record what other services publish, by these services' names.
    """

    def __init__(
        self, service: str, answers: Iterable[Answer], inboxes: Mapping[str, str], log: Log, store: ViewStore,
        versions: ViewVersions, positions: PositionWaiter, clock: Clock, limits: Limits,
    ) -> None:  # fmt: skip
        self._receipts = Receipts(service, inboxes, log, positions, clock, limits.queries)
        self._answers = Answers(answers, store, versions, log.telemetry)
        self._cache = AnswerCache(self._answers, store, versions, clock, limits.queries)
        self._live = LiveQueries(service, self._answers, store, versions, positions, clock, limits)

    async def ask(self, query: Query[A], after: After, timeout_seconds: float | None) -> A:
        """Answer a query.

        Raises:
            UnknownMessage: nothing answers the query here.
            ReceiptTimeout: the views did not get in time to what a receipt stands for.
            ViewNotReady: a view is new, and is not filled in time.
            FutureReceipt: the log has not reached a receipt's position.
            InvalidReceipt: a receipt is of a service that this one does not hear.
        """
        freshness = await self._freshness(query, after, timeout_seconds)
        return cast("A", (await self._answers.find(query, freshness)).value)

    async def answered(self, query: Query[Any], after: After, timeout_seconds: float | None) -> EncodedAnswer:
        """Answer a query as JSON, from the cache if it has an answer that holds.

        Raises:
            InvalidMessage: the query cannot be said in JSON as it is.
            UnknownMessage, ReceiptTimeout, ViewNotReady, FutureReceipt, InvalidReceipt: as `ask` does.
        """
        return await self._cache.answer(query, await self._freshness(query, after, timeout_seconds))

    async def subscribe(
        self, query: Query[A], after: After, since: str, timeout_seconds: float | None
    ) -> Subscription[A]:
        """Answer a query live, from after the update with the id ``since``, if there is one.

        Raises:
            UnknownMessage, ReceiptTimeout, ViewNotReady, FutureReceipt, InvalidReceipt: as `ask` does.
            Exception: what the answer failed with.
        """
        self._answers.check(query)
        token = await self._receipts.resumption(since)
        return await self._live.subscribe(query, await self._receipts.freshness(after, timeout_seconds), token)

    async def _freshness(self, query: Query[Any], after: After, timeout_seconds: float | None) -> Freshness:
        self._answers.check(query)
        return await self._receipts.freshness(after, timeout_seconds)

    async def close(self) -> None:
        """Tell all who watch that there is nothing more."""
        await self._live.close()
