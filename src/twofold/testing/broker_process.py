"""One side of a broker as a process of its own: the suite kills it where it likes.

``python -m twofold.testing.broker_process URL publish AFTER COUNT SIZE`` publishes up to position ``COUNT`` in deliveries of
``SIZE``, and prints each position that is confirmed. ``… URL receive GROUP`` prints the positions of one delivery, and settles
nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import msgspec

from twofold.clock import SystemClock
from twofold.messaging import Delivery, Published, Transport
from twofold.service.adapters import open_transport
from twofold.testing.transport_conformance import SOURCE

KEYS = 7


def event_at(position: int) -> Published:
    """Return the event that is always at a position."""
    data = msgspec.Raw(b'{"n":%d}' % position)
    return Published(f"id-{position}", SOURCE, "Ordered", 1, f"order:{position % KEYS}", position, 5, data)


def deliveries(after: int, count: int, size: int) -> Iterator[Delivery]:
    """Yield the events after a position and up to another, in deliveries of a size."""
    for begin in range(after, count, size):
        end = min(begin + size, count)
        yield Delivery(SOURCE, [event_at(position) for position in range(begin + 1, end + 1)], end, begin)


async def _publish(transport: Transport, after: int, count: int, size: int) -> None:
    for delivery in deliveries(after, count, size):
        await transport.publish(delivery)
        _say(str(delivery.position))


async def _receive(transport: Transport, group: str) -> None:
    async for delivery in transport.subscribe(group, SOURCE, 0):
        if delivery.events:
            _say(" ".join(str(event.position) for event in delivery.events))
            await asyncio.Event().wait()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _main(url: str, what: str, *arguments: str) -> None:
    transport = open_transport(url, SystemClock(), sources=[SOURCE])
    if what == "publish":
        await _publish(transport, *map(int, arguments))
        await transport.close()
    else:
        await _receive(transport, *arguments)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
