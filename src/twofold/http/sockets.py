"""Sockets that listen: for one process, or one for each of several at the same address."""

from __future__ import annotations

import socket
import sys

from twofold.errors import SettingsError

_BACKLOG = 2048

# What the operating system does for connections, where it can: keep little that a client has not asked for yet, as what is
# live grows old there; and give up a client that acknowledges nothing, long before it would do so by itself.
_FOR_CONNECTIONS = {"TCP_NOTSENT_LOWAT": 1 << 16, "TCP_USER_TIMEOUT": 20_000}


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a taken port is told before anything starts; port 0 takes a free one.

    Raises:
        SettingsError: the address cannot be listened on; the text says why.
    """
    return _listen(host, port, shared=False)


def listen_for(workers: int, host: str, port: int) -> list[socket.socket]:
    """Return a socket for each of so many processes, all at one address.

    On Linux each has a queue of its own (``SO_REUSEPORT``), among which the kernel deals out connections evenly; with one
    queue for all, whoever wakes up first takes everything that is waiting. Other systems do not deal out: there it is one.
    Whoever holds the sockets open keeps what waits for a process that ends for the one that comes after it.

    Raises:
        SettingsError: the address cannot be listened on; the text says why.
    """
    alone = listen(host, port)
    if sys.platform != "linux":
        return [alone] * workers
    # Sockets that share an address would share it with other programs' too: that nobody has it, only one alone can tell.
    port = alone.getsockname()[1]
    alone.close()
    return [_listen(host, port, shared=True) for _ in range(workers)]


def url_of(listening: socket.socket) -> str:
    """Return the URL at which a socket listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if listening.family == socket.AF_INET6 else f"http://{host}:{port}"


def _listen(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and a keep-alive connection answers every 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option, value in _FOR_CONNECTIONS.items():
        if hasattr(socket, option):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"{host}:{port} cannot be listened on: {reason}. Choose another with --port, or end what uses it."
        ) from error
    return listening
