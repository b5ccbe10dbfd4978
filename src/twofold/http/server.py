"""Serving: uvicorn, started and ended as a service should be."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from twofold.errors import SettingsError
from twofold.http.app import asgi, check_settings
from twofold.http.exchange import ENDING
from twofold.http.protocol import Config, Protocol
from twofold.http.sockets import listen, url_of
from twofold.limits import read_limits
from twofold.service import Service, System

_OBJECTS_BEFORE_COLLECTION = 10_000

_TICKS_PER_SECOND = 10


async def serve(
    served: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    listening: socket.socket | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a service, a system or an ASGI application until SIGTERM or SIGINT, then drain and return within five seconds.

    Cancelling it drains too. ``ready`` is told the URL once connections are accepted; port 0 takes a free one. A socket that
    is ``listening`` already is used in place of host and port, and closed in the end::

        asyncio.run(serve(bank, port=0, ready=print))

    Raises:
        SettingsError: the address cannot be listened on, or the application's lifespan did not start.
        LogUnavailable: a database of the service cannot be opened.
    """
    if isinstance(served, Service | System):
        check_settings()
        async with served.run() as running:
            await _serve(asgi(running), listening or listen(host, port), ready)
    else:
        await _serve(served, listening or listen(host, port), ready)


async def _serve(app: Any, listening: socket.socket, ready: Callable[[str], None] | None) -> None:
    _collect_seldom()
    server = _Server(Config(app, read_limits().http), url_of(listening), ready)
    with listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise


def _collect_seldom() -> None:
    """Have the process look for cycles less often: requests that wait for a commit are many objects, and none in a cycle.

    A sixth of the time of a busy server went into looking at them again and again.
    """
    first, second, third = gc.get_threshold()
    gc.set_threshold(max(first, _OBJECTS_BEFORE_COLLECTION), second, third)


class _Server(uvicorn.Server):
    def __init__(self, config: Config, url: str, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._ticks_per_look = config.limits.head_seconds * _TICKS_PER_SECOND
        self._url = url
        self._ready = ready
        self._ending = asyncio.Event()
        self._waiting: set[tuple[Protocol, object]] = set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the serving; the base class would also raise the signal again, past whatever the caller has to close."""
        # Ctrl-C again is impatience. SIGTERM again is mostly the same one, sent to a process and to its whole group.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as ended:
            raise SettingsError("The application did not start; the log above says why.") from ended
        self.lifespan.state[ENDING] = self._ending
        if self._ready is not None:
            self._ready(self._url)

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second, and now and then see who sends nothing whole."""
        if counter % self._ticks_per_look == 0:
            self._end_slow()
        return await super().on_tick(counter)

    def _end_slow(self) -> None:
        """Close the connections that have waited for the same head the whole time since this was done last.

        A look now and then costs nothing, where a timer for each request would.
        """
        connections = [each for each in self.server_state.connections if isinstance(each, Protocol)]
        waiting = {(each, each.cycle) for each in connections if each.waits_for_a_head}
        for connection, _ in waiting & self._waiting:
            connection.transport.close()
        self._waiting = waiting - self._waiting

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Whoever waits for news is sent away first, so that only work under way is waited for.
        self._ending.set()
        await super().shutdown(sockets)
