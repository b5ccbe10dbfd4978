"""What each path does."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from twofold.backoff import Backoff
from twofold.errors import InvalidMessage, InvalidReceipt, NotRunning, UnknownMessage
from twofold.http.bodies import Body
from twofold.http.events import LAST_EVENT_ID, EventStream, wants_events
from twofold.http.exchange import (
    RECEIPT,
    Exchange,
    Response,
    Stream,
    conditional_response,
    encoded_response,
    json_response,
)
from twofold.http.health import readiness, state_of
from twofold.http.parameters import Parameters, parsed
from twofold.messages import Receipt, parse_receipts
from twofold.service import Declaration, Running

LONGEST_WAIT_SECONDS = 30
LARGEST_FEED_PAGE = 1000
LAST_POSITION = 2**62
MOST_RECEIPTS = 100
_RECONNECTING = Backoff(first_seconds=2.0, longest_seconds=2.0)


class Endpoints:
    """The paths of one service. ``find`` gives the running instance, or raises `twofold.errors.NotRunning`."""

    def __init__(self, declaration: Declaration, find: Callable[[], Running]) -> None:
        self._name = declaration.name
        self._find = find
        commands = declaration.elsewhere | declaration.commands
        self._commands = {name: Body(kind) for name, kind in commands.items()}
        self._queries = {name: Body(answer.query) for name, answer in declaration.queries.items()}
        self._parameters = {name: Parameters(each.kind) for name, each in self._queries.items()}

    async def command(self, exchange: Exchange) -> Response:
        """Have a command decided, or sent to the service that decides on it; the response has its receipt."""
        body = _named(exchange, self._commands, "command")
        exchange.require("POST")
        command = body.read(await exchange.json_body())
        key = exchange.idempotency_key()
        append_id = f"{body.name}:{key}" if key else ""
        running, patience = self._find(), _patience(exchange)
        if patience is not None:
            receipt = await running.request(command, timeout_seconds=patience, id=append_id)
        else:
            receipt = await running.send(command, id=append_id)
        status, headers, data = json_response({"receipt": str(receipt)}, (RECEIPT, str(receipt).encode()))
        is_under_way = patience is None and type(command).message_service not in ("", self._name)
        return 202 if is_under_way else status, headers, data

    async def query(self, exchange: Exchange) -> Response | Stream:
        """Answer a query, from its body or from the path's parameters: once, or live."""
        body = _named(exchange, self._queries, "query")
        parameters = self._parameters[body.name]
        exchange.require(*(("GET", "HEAD", "POST") if parameters.suffice else ("POST",)))
        if exchange.scope["method"] == "POST":
            query = body.read(await exchange.json_body())
        else:
            query = parameters.read(exchange.scope["query_string"])
        running, receipts, patience = self._find(), _receipts(exchange), _patience(exchange)
        if wants_events(exchange):
            seen = exchange.header(LAST_EVENT_ID)
            subscription = await running.subscribe(query, after=receipts, since=seen, timeout_seconds=patience)
            retry_seconds = _RECONNECTING.pause_seconds(1, running.clock.random())
            return EventStream(exchange, subscription, int(retry_seconds * 1000))
        answered = await running.answered(query, after=receipts, timeout_seconds=patience)
        if exchange.scope["method"] == "POST":
            return encoded_response(answered.data)
        return conditional_response(exchange, answered.data, answered.digest)

    async def feed(self, exchange: Exchange) -> Response:
        """Give published events after a position, or wait for some."""
        exchange.require("GET", "HEAD")
        parameters = dict(parsed(exchange.scope["query_string"]))
        after = _whole(parameters, "after", 0, 0, LAST_POSITION)
        limit = _whole(parameters, "limit", LARGEST_FEED_PAGE, 1, LARGEST_FEED_PAGE)
        wait = _whole(parameters, "wait", 0, 0, LONGEST_WAIT_SECONDS)
        running = self._find()
        running.check_role("relay")
        if wait and await running.log.head() == after:
            await exchange.wait_for(running.log.advanced_past(after), seconds=wait)
        return json_response(await running.published(after, limit))

    async def live(self, exchange: Exchange) -> Response:
        """Say that the process answers."""
        exchange.require("GET", "HEAD")
        return json_response({"status": "live"})

    async def ready(self, exchange: Exchange) -> Response:
        """Say whether what this process needs of the log and the views can be read, and whatever it follows goes on."""
        exchange.require("GET", "HEAD")
        return readiness([await self.state()])

    async def state(self) -> dict[str, Any]:
        """Return how far the service is, and what is wrong with it."""
        try:
            running = self._find()
        except NotRunning as error:
            return {"service": self._name, "head": 0, "failing": {"service": str(error)}}
        return await state_of(running)


def _named(exchange: Exchange, known: dict[str, Body], what: str) -> Body:
    name = exchange.scope["path_params"]["name"]
    body = known.get(name)
    if body is None:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)
        raise UnknownMessage(f"There is no {what} {name!r} here. There is: {', '.join(near) or 'none at all'}.")
    return body


def _receipts(exchange: Exchange) -> tuple[Receipt, ...]:
    values = [value.decode("latin-1") for name, value in exchange.scope["headers"] if name == RECEIPT]
    if not values:
        return ()
    receipts = parse_receipts(",".join(values))
    if len(receipts) > MOST_RECEIPTS:
        raise InvalidReceipt(f"There are {len(receipts)} receipts: of each service, send the latest alone.")
    if not receipts:
        raise InvalidReceipt("Twofold-Receipt is empty. Put in what a command returned, or leave the header out.")
    return receipts


def _patience(exchange: Exchange) -> float | None:
    """Return how long the caller wants to wait for receipts, None if it does not say: ``Prefer: wait=10`` (RFC 7240)."""
    prefer = exchange.headers.get(b"prefer", b"").decode("latin-1")
    for part in prefer.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "wait" and value.isascii() and value.isdigit():
            return min(float(value[:9]), LONGEST_WAIT_SECONDS)
    return None


def _whole(parameters: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = parameters.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidMessage(f"feed: Expected a whole number from {least} to {most} - at `$.{name}`")
    return int(text)
