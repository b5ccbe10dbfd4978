"""What each path does."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Iterable
from typing import Any, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from twofold.errors import InvalidMessage, TwofoldError, UnknownMessage
from twofold.http.exchange import IDEMPOTENCY_KEY, RECEIPT, Exchange, Response, json_response
from twofold.http.problems import Problem
from twofold.messages import Query, Receipt, decode, parse_receipts, type_hints
from twofold.service import PATIENCE_SECONDS, Declaration, Running

LONGEST_WAIT_SECONDS = 30.0
_LARGEST_FEED_PAGE = 1000


class Endpoints:
    """The paths of one service. ``find`` gives the running instance, or raises `twofold.errors.NotRunning`."""

    def __init__(self, declaration: Declaration, find: Callable[[], Running], limit_bytes: int) -> None:
        self._find = find
        self._limit_bytes = limit_bytes
        self._commands = declaration.commands
        self._queries = {name: answer.query for name, answer in declaration.queries.items()}
        self._repeatable = {query: _repeatable_fields(query) for query in self._queries.values()}

    async def command(self, exchange: Exchange) -> Response:
        """Have a command decided; the response has its receipt."""
        exchange.require("POST")
        kind = _named(exchange, self._commands, "command")
        body = await exchange.json_body(self._limit_bytes)
        command = _decoded(kind, body)
        key = exchange.header(IDEMPOTENCY_KEY).strip('"')
        append_id = f"{kind.message_name}:{key}" if key else ""
        receipt = await self._find().send(command, id=append_id, metadata=exchange.metadata())
        return json_response({"receipt": str(receipt)}, (RECEIPT, str(receipt).encode()))

    async def query(self, exchange: Exchange) -> Response:
        """Answer a query, from its body or from the path's parameters."""
        exchange.require("GET", "HEAD", "POST")
        kind = _named(exchange, self._queries, "query")
        if exchange.scope["method"] == "POST":
            query = _decoded(kind, await exchange.json_body(self._limit_bytes))
        else:
            query = self._from_parameters(kind, exchange.scope["query_string"])
        answer = await self._find().ask(query, after=_receipts(exchange), timeout_seconds=_patience(exchange))
        return json_response(answer)

    def _from_parameters(self, kind: type[Query[Any]], query_string: bytes) -> Query[Any]:
        values: dict[str, Any] = {}
        try:
            pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        except (UnicodeDecodeError, ValueError) as error:
            raise InvalidMessage(f"The parameters are not UTF-8 in percent-encoding: {error}.") from error
        for name, value in pairs:
            if name in self._repeatable[kind]:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise InvalidMessage(f"{kind.message_name}: the parameter {name!r} is given twice.")
            else:
                values[name] = value
        try:
            query: Query[Any] = msgspec.convert(values, kind, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidMessage(f"{kind.message_name}: {error}") from error
        return query

    async def feed(self, exchange: Exchange) -> Response:
        """Give published events after a position, or wait for some."""
        exchange.require("GET")
        parameters = dict(parse_qsl(exchange.scope["query_string"].decode("latin-1")))
        after = _whole(parameters, "after", 0, 0, 1 << 60)
        limit = _whole(parameters, "limit", _LARGEST_FEED_PAGE, 1, _LARGEST_FEED_PAGE)
        wait = _whole(parameters, "wait", 0, 0, int(LONGEST_WAIT_SECONDS))
        return json_response(await self._find().published(after, limit, float(wait)))

    async def live(self, exchange: Exchange) -> Response:
        """Say that the process answers."""
        exchange.require("GET", "HEAD")
        return json_response({"status": "live"})

    async def ready(self, exchange: Exchange) -> Response:
        """Say whether the log can be read and every follower follows."""
        exchange.require("GET", "HEAD")
        return readiness([await self.state()])

    async def state(self) -> dict[str, Any]:
        """Return the service's head, and what is wrong with it."""
        try:
            running = self._find()
            async with asyncio.timeout(LONGEST_WAIT_SECONDS / 10):
                head = await running.log.head()
            return {"service": running.name, "head": head, "failing": running.failing()}
        except (TwofoldError, TimeoutError) as error:
            return {"service": "", "head": 0, "failing": {"log": str(error) or "it does not answer in time"}}


def readiness(states: Iterable[dict[str, Any]]) -> Response:
    """Return 200 if nothing fails, 503 with the reasons otherwise."""
    states = list(states)
    ready = not any(state["failing"] for state in states)
    status, headers, body = json_response({"status": "ready" if ready else "failing", "services": states})
    return (status if ready else 503), headers, body


def _named(exchange: Exchange, known: dict[str, Any], what: str) -> Any:
    name = exchange.scope["path_params"]["name"]
    kind = known.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)
        raise UnknownMessage(f"There is no {what} {name!r} here. There is: {', '.join(near) or 'none at all'}.")
    return kind


def _decoded(kind: Any, body: bytes) -> Any:
    try:
        return decode(kind, body)
    except InvalidMessage as error:
        if isinstance(error.__cause__, msgspec.ValidationError):
            raise
        raise Problem(400, "not-json", "The body is not JSON", f"{error}") from error


def _receipts(exchange: Exchange) -> tuple[Receipt, ...]:
    value = exchange.headers.get(RECEIPT)
    return () if value is None else parse_receipts(value.decode("latin-1"))


def _patience(exchange: Exchange) -> float:
    """Return how long the caller wants to wait for receipts: ``Prefer: wait=10`` (RFC 7240), up to a bound."""
    prefer = exchange.headers.get(b"prefer", b"").decode("latin-1")
    for part in prefer.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "wait" and value.isascii() and value.isdigit():
            return min(float(value), LONGEST_WAIT_SECONDS)
    return PATIENCE_SECONDS


def _whole(parameters: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = parameters.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidMessage(f"{name}={text!r}: give a whole number from {least} to {most}.")
    return int(text)


def _repeatable_fields(query: type[Query[Any]]) -> frozenset[str]:
    """Return the fields that take several values, such as ``tags: list[str]``."""
    return frozenset(
        [
            name
            for name, hint in type_hints(query).items()
            if get_origin(get_args(hint)[0] if hasattr(hint, "__metadata__") else hint) in (list, tuple, set, frozenset)
        ]
    )
