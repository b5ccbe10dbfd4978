"""A broker in a simulation: it keeps what is published in partitions, and brings it late, more than once, and in any order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from zlib import crc32

import msgspec

from twofold.clock import Clock
from twofold.errors import Undecodable
from twofold.messaging import BrokerTransport, Content, Message
from twofold.simulation.disks import BrokerDisk
from twofold.simulation.wire import Wire

_PARTITIONS = 3
_MOST_REPEATED = 4


class Arrived(msgspec.Struct, frozen=True):
    """A message of a partition, and its number in it."""

    partition: int
    offset: int
    message: Message


class SimulatedBroker:
    """A process's way to the broker."""

    def __init__(self, disk: BrokerDisk, wire: Wire) -> None:
        self._disk = disk
        self._wire = wire

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        """Store what is of one partition in one step; each partition may fail by itself."""
        found: dict[int, list[Message]] = {}
        for each in messages:
            found.setdefault(crc32(each.key.encode()) % _PARTITIONS, []).append(each)
        writes = [
            self._wire.write(partial(self._disk.keep, source, number, some), f"what {source} publishes")
            for number, some in found.items()
        ]
        await asyncio.gather(*writes)

    @asynccontextmanager
    async def incoming(self, group: str, source: str) -> AsyncIterator[SimulatedIncoming]:
        """Begin with what the group has not settled."""
        yield SimulatedIncoming(self._disk, self._wire, group, source)

    async def close(self) -> None:
        """Do nothing: what a process has of a broker ends with it."""


class SimulatedIncoming:
    """Brings some messages of a partition that chance chooses, and begins again before them now and then."""

    def __init__(self, disk: BrokerDisk, wire: Wire, group: str, source: str) -> None:
        self._disk = disk
        self._wire = wire
        self._group = group
        self._source = source
        self._places = [disk.settled[group, source, number] for number in range(_PARTITIONS)]
        self._under_way: set[tuple[int, int]] = set()

    async def receive(self, most: int, seconds: float) -> Sequence[Arrived]:
        found = await self._wire.read(partial(self._next, most))
        if not found:
            await self._disk.bell.wait(seconds)
        return found

    def _next(self, most: int) -> list[Arrived]:
        mishaps = self._wire.mishaps
        left = [number for number in range(_PARTITIONS) if self._left(number)]
        if not left:
            return []
        number = mishaps.chance.pick(left)
        if mishaps.happens("repeated_delivery"):
            self._places[number] = max(0, self._places[number] - 1 - mishaps.chance.below(_MOST_REPEATED))
        place, count = self._places[number], min(most, self._left(number))
        self._places[number] = end = place + 1 + mishaps.chance.below(count)
        messages = self._disk.messages[self._source, number][place:end]
        found = [Arrived(number, offset, message) for offset, message in enumerate(messages, place)]
        self._under_way |= {(number, each.offset) for each in found}
        return found

    def _left(self, number: int) -> int:
        return len(self._disk.messages[self._source, number]) - self._places[number]

    def content(self, message: Arrived) -> Content:
        return Content(message.message.attributes, message.message.data)

    async def set_aside(self, message: Arrived, reason: str) -> str:
        raise Undecodable(f"In a simulation every message is an event, and this one is not: {reason}")

    async def settle(self, messages: Sequence[Arrived]) -> None:
        """Let each partition go on behind all that has been settled of it without a gap."""
        self._under_way -= {(each.partition, each.offset) for each in messages}
        ends = {
            number: min([offset for of, offset in self._under_way if of == number], default=self._places[number])
            for number in {each.partition for each in messages}
        }
        await self._wire.write(partial(self._store, ends), "what is settled")

    def _store(self, ends: dict[int, int]) -> None:
        for number, end in ends.items():
            key = (self._group, self._source, number)
            self._disk.settled[key] = max(self._disk.settled[key], end)


def simulated_transport(disk: BrokerDisk, wire: Wire, clock: Clock) -> BrokerTransport[Arrived]:
    """Return the transport over a broker, as any process has it, on a way to the one of a world."""
    return BrokerTransport(SimulatedBroker(disk, wire), clock)
