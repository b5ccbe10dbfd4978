"""Readiness: what a process needs, how far its views are, and whether anybody is there to follow them.

Anybody may ask, so no reason has the text of an error in it: that may name files, hosts and statements, and is in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from twofold.errors import TwofoldError
from twofold.http.exchange import Response, json_response
from twofold.log import Criterion
from twofold.service import Progress, Running, needs_of

_FAILS = "it fails, and tries again: the log of the process says why"
_NOBODY = (
    "nobody follows it, so answers from it stay as they are: start a process with --role followers, or with all roles; if "
    "one runs, its log says what is wrong"
)

_logger = logging.getLogger("twofold.http")


def readiness(states: Iterable[dict[str, Any]]) -> Response:
    """Return 200 if nothing fails, 503 with the reasons otherwise."""
    states = list(states)
    ready = not any(state["failing"] for state in states)
    status, headers, body = json_response({"status": "ready" if ready else "failing", "services": states})
    return (status if ready else 503), headers, body


async def state_of(running: Running) -> dict[str, Any]:
    """Return the head of a service's log, where its views are, and what is wrong with any of it."""
    needs = needs_of(running.roles)
    asked: dict[str, Callable[[], Awaitable[Any]]] = {"log": running.log.head, "views": partial(_followers, running)}
    found = {name: await _tried(running, name, asked[name]()) for name in sorted(needs)}
    failing = {name: reason for name, (_, reason) in found.items() if reason}
    head = found.get("log", (None, ""))[0] or running.log.known_head
    progress, there = found.get("views", (None, ""))[0] or ([], set())
    views = _views(running, progress, there, head) if "views" in needs else {}
    filling: dict[str, str] = {}
    if running.roles & {"queries", "followers"}:
        filling = (await _tried(running, "views", running.view_versions.how_far()))[0] or {}
    if "queries" in running.roles and "followers" not in running.roles and not failing:
        failing |= {name: _NOBODY for name, view in views.items() if not view["followed"]}
    failing = {**filling, **dict.fromkeys(running.failing(), _FAILS), **failing}
    state: dict[str, Any] = {"service": running.name, "head": head, "failing": failing}
    if views:
        state["views"] = views
    oldest = min([view["position"] for view in views.values()], default=head)
    if "log" in needs and "log" not in failing and oldest < head:
        state["behind_seconds"] = await _age(running, oldest)
    return state


async def _followers(running: Running) -> tuple[list[Progress], set[str]]:
    """Return how far followers are, and which of them a process is there for.

    That is another thing than who has their segments: these have nobody for a moment when they change hands, and for long
    when they wait to be merged.
    """
    return await running.progress(), await running.declared()


def _views(
    running: Running, progress: Sequence[Progress], there: Collection[str], head: int
) -> dict[str, dict[str, Any]]:
    """Return where each view is, by the segment that is furthest behind."""
    views: dict[str, dict[str, Any]] = {}
    for follower in sorted(running.declaration.followers):
        position = min([each.position for each in progress if each.follower == follower], default=0)
        views[follower] = {"position": position, "behind": max(0, head - position), "followed": follower in there}
    return views


async def _age(running: Running, position: int) -> float | None:
    """Return for how many seconds the event after a position has been in the log."""
    events, _ = await _tried(running, "log", running.log.read((Criterion(),), position, 1))
    if not events:
        return None
    recorded: float = events[0].recorded_at.timestamp()
    return max(0.0, round(running.clock.now_us() / 1e6 - recorded, 3))


async def _tried(running: Running, what: str, asked: Any) -> tuple[Any, str]:
    """Return what a database answers, or in a few words that it does not."""
    seconds = running.limits.http.health_seconds
    try:
        async with asyncio.timeout(seconds):
            return await asked, ""
    except TimeoutError:
        return None, f"it does not answer within {seconds:g} seconds"
    except Exception as error:
        _logger.warning("The %s cannot be read: %s", what, error, exc_info=not isinstance(error, TwofoldError))
        return None, _FAILS
