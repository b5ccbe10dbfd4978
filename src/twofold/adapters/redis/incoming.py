"""What comes for a service from a stream: read by one process, from where the service's group is.

Who reads is decided by the claim of the subscriber's inbox, so Redis need not share entries out among consumers: it would keep
what a process got that is no reader any more away from the next one. The group is where it is kept how far has been read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Final

from twofold.adapters.redis.connection import RedisConnection
from twofold.adapters.redis.fields import Entry, attributes_of
from twofold.adapters.redis.settings import RedisSettings
from twofold.clock import Clock, moment
from twofold.errors import BrokerUnavailable
from twofold.messaging import Content

_IS_THERE: Final = "BUSYGROUP"


class RedisIncoming:
    """The entries of one stream in its order, from the first that is not settled on."""

    def __init__(
        self, connection: RedisConnection, settings: RedisSettings, clock: Clock, group: str, source: str
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._group = group
        self._source = source
        self._stream = settings.stream(source)
        self._last = b"0-0"
        self._read = 0
        self._received: deque[bytes] = deque()
        self._settled: set[bytes] = set()

    async def open(self) -> None:
        """Find out where the group is; one that is not there yet begins with the oldest entry.

        Raises:
            SettingsError: it is not there, and is to be created by hand.
            BrokerUnavailable: Redis does not answer, or refuses.
        """
        if self._settings.creates:
            await self._create()
        is_there = await self._connection.call("EXISTS", self._stream)
        groups = await self._connection.call("XINFO GROUPS", self._stream) if is_there else ()
        found = next((each for each in groups if each["name"] == self._group.encode()), None)
        if found is None:
            raise self._settings.missing(self._stream, self._group)
        self._last = found["last-delivered-id"]
        self._read = found["entries-read"] or 0

    async def _create(self) -> None:
        try:
            await self._connection.call("XGROUP CREATE", self._stream, self._group, "0", "MKSTREAM", "ENTRIESREAD", 0)
        except BrokerUnavailable as error:
            if _IS_THERE not in str(error.__cause__):
                raise

    async def receive(self, most: int, seconds: float) -> Sequence[Entry]:
        milliseconds = max(1, int(seconds * 1000))
        command = ("XREAD", "COUNT", most, "BLOCK", milliseconds, "STREAMS", self._stream, self._last)
        found = await self._connection.call(*command, besides_seconds=seconds)
        entries = [Entry(id, fields) for _, each in found or () for id, fields in each]
        self._received += [entry.id for entry in entries]
        self._last = entries[-1].id if entries else self._last
        return entries

    def content(self, message: Entry) -> Content:
        return Content(attributes_of(message), message.data)

    async def set_aside(self, message: Entry, reason: str) -> str:
        stream = self._settings.dead_letters(self._group)
        origin = {
            "twofold-reason": reason,
            "twofold-source": self._source,
            "twofold-place": f"{self._stream}/{message.id.decode()}",
            "twofold-time": moment(self._clock.now_us()).isoformat(),
        }
        fields = {**message.fields, **{name.encode(): text.encode() for name, text in origin.items()}}
        await self._connection.call("XADD", stream, "*", *chain.from_iterable(fields.items()))
        return f"the stream {stream}"

    async def settle(self, messages: Sequence[Entry]) -> None:
        """Move the group up to the first entry that is not settled: what came too early may be settled long after others."""
        self._settled.update(message.id for message in messages)
        reached = b""
        while self._received and self._received[0] in self._settled:
            reached = self._received.popleft()
            self._settled.discard(reached)
            self._read += 1
        if reached:
            await self._connection.call("XGROUP SETID", self._stream, self._group, reached, "ENTRIESREAD", self._read)
