"""``twofold run``: a service or a system over HTTP."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from twofold.cli.target import TARGET, Complaint, load

if TYPE_CHECKING:
    from twofold.service import Service, System

_CLOSING_SECONDS = 1.5
"""How long closing the databases may take: with what requests may, it is less than five seconds."""

_logger = logging.getLogger("twofold.cli")


@click.command(short_help="Serve over HTTP.")
@TARGET
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is all of them."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def run(target: str, host: str, port: int, log_format: str, log_level: str) -> None:
    """Serve a service or a system over HTTP.

    SIGTERM or Ctrl-C ends it within five seconds: requests that are under way are finished, and nothing new is taken.
    """
    import asyncio

    from twofold.telemetry import configure_logging

    served = load(target)
    configure_logging(log_format, log_level, service=target.rpartition(":")[2])
    asyncio.run(_serve(served, host, port))


async def _serve(served: Service | System, host: str, port: int) -> None:
    from twofold.service import Running

    try:
        from twofold.http import asgi, serve
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise Complaint(f"Serving needs the package {package}. Install it: pip install 'twofold[http]'") from error
    async with served.run() as running:
        paths = {running.name: ""} if isinstance(running, Running) else {name: f"/{name}" for name in running}

        def ready(url: str) -> None:
            for name, path in paths.items():
                _logger.info("%s answers at %s%s; try it at %s%s/docs", name, url, path, url, path)

        await serve(asgi(running), host=host, port=port, ready=ready)
        _end_soon(", ".join(paths))
    _logger.info("%s ended.", ", ".join(paths))


def _end_soon(names: str) -> None:
    """Have the process end in time, even if a database does not let go of it."""
    import threading

    timer = threading.Timer(_CLOSING_SECONDS, _give_up, [names])
    timer.daemon = True
    timer.start()


def _give_up(names: str) -> None:
    import os

    _logger.error(
        "%s did not end in time, as a database is held up by somebody else, and is ended now. Nothing that was acknowledged "
        "is lost.", names
    )  # fmt: skip
    logging.shutdown()
    os._exit(1)
