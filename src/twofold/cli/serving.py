"""Serving in this process: until a signal, and no longer than a few seconds after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twofold.cli.target import Complaint
from twofold.limits import read_limits

if TYPE_CHECKING:
    import socket

    from twofold.service import Role, Service, System

_logger = logging.getLogger("twofold.cli")


async def serve_here(
    served: Service | System, roles: Sequence[Role], ready: Callable[[str], None], **where: str | int | socket.socket
) -> None:
    """Serve until a signal; ``ready`` is told the URL, and ``where`` are a host and a port or a socket that is listening.

    Raises:
        TwofoldError: a database cannot be opened, or the address not be listened on.
    """
    edge = http()
    async with served.run(roles=roles) as running:
        await edge.serve(edge.asgi(running), ready=ready, **where)
        _end_soon(", ".join(names(served)), read_limits().http.ending_seconds)
    _logger.info("%s ended.", ", ".join(names(served)))


def http() -> Any:
    """Return `twofold.http`.

    Raises:
        Complaint: it needs a package that is not installed.
    """
    try:
        import twofold.http as edge
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise Complaint(f"Serving needs the package {package}. Install it: pip install 'twofold[http]'") from error
    return edge


def names(served: Service | System) -> list[str]:
    """Return the names of the services that are served."""
    from twofold.service import Service

    return [served.name] if isinstance(served, Service) else list(served.services)


def tell_where(served: Service | System, url: str) -> None:
    """Log where each service answers: alone at the URL itself, in a system under its name."""
    from twofold.service import Service

    for name in names(served):
        path = "" if isinstance(served, Service) else f"/{name}"
        _logger.info("%s answers at %s%s; try it at %s%s/docs", name, url, path, url, path)


def _end_soon(names: str, seconds: float) -> None:
    """Have the process end in time, even if a database does not let go of it."""
    import threading

    timer = threading.Timer(seconds, _give_up, [names])
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
