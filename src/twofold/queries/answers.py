"""Answers: found by the functions that give them, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from twofold.errors import UnknownMessage
from twofold.messages import Query, encode, received
from twofold.queries.freshness import Freshness
from twofold.queries.versions import ViewVersions
from twofold.queries.views import Answer, Views
from twofold.telemetry import Telemetry
from twofold.telemetry.events import QueryAnswered, QueryFailed
from twofold.views import ViewStore

_DIGEST_BYTES = 12


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
    """The functions that answer queries, with what they read."""

    def __init__(
        self, answers: Iterable[Answer], store: ViewStore, versions: ViewVersions, telemetry: Telemetry
    ) -> None:
        self.telemetry = telemetry
        self._by_query: dict[type, Answer] = {answer.query: answer for answer in answers}
        self._store = store
        self._versions = versions

    def check(self, query: Query[Any]) -> None:
        """Check that there is an answer.

        Raises:
            UnknownMessage: there is none.
        """
        if type(query) not in self._by_query:
            raise UnknownMessage(f"Nothing answers {type(query).__name__} here. Add its answer to queries=[…].")

    async def find(self, query: Query[Any], freshness: Freshness) -> Result:
        """Have a query answered, from views that are so fresh."""
        views = Views(self._store, self._versions, freshness)
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
