"""Serving: uvicorn, started and ended as a service should be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from twofold.errors import SettingsError

DRAIN_SECONDS = 3
"""How long requests that are under way may take after SIGTERM; the rest of five seconds is for closing databases."""


async def serve(
    app: Any, *, host: str = "127.0.0.1", port: int = 8000, ready: Callable[[str], None] | None = None
) -> None:
    """Serve an ASGI application until SIGTERM or SIGINT, then drain and return within five seconds.

    Cancelling it drains too. ``ready`` is told the URL once connections are accepted; port 0 takes a free one.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=30,
        lifespan="on",
        server_header=False,
    )
    server = _Server(config, f"http://{host}:{listening.getsockname()[1]}", ready)
    with listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise
    if not server.started:
        raise SettingsError("The service did not start; the log says why.")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._url = url
        self._ready = ready

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the serving; the base class would also raise the signal again, past whatever the caller has to close."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self._url)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # Listening from here on tells a taken port before anything starts.
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}. Choose another with --port, or end what uses it."
        ) from error
    return listening
