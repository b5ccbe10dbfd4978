"""The transport over Redis, certified by the suite that Twofold ships."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.support.servers.alone import own
from tests.support.servers.redis import RedisPlaces, RedisServer, client, running_redis
from twofold.testing import BrokerConformance
from twofold.testing.broker_conformance import StoredMessage


class RedisUnderTest:
    def __init__(self, places: RedisPlaces) -> None:
        self.url = places.url
        self._places = places

    async def put(self, attributes: Mapping[str, str], headers: Mapping[str, str], data: bytes) -> None:
        named = {f"ce_{name}": text for name, text in attributes.items()}
        async with client(self._places.server) as redis:
            await redis.xadd(self._places.stream, {**named, **headers, "data": data})

    async def dead_letters(self, group: str) -> Sequence[StoredMessage]:
        async with client(self._places.server) as redis:
            entries = await redis.xrange(self._places.dead_letters)
        return [StoredMessage(_headers(fields), fields[b"data"]) for _, fields in entries]


def _headers(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items() if name != b"data"}


class RedisOfOurs(RedisUnderTest):
    wrong_password = "hidden"  # noqa: S105

    def __init__(self, server: RedisServer) -> None:
        super().__init__(server.places())
        self.wrong_url = self.url.replace(":right@", f":{self.wrong_password}@")
        self.stop = server.kill
        self.start = server.start


@pytest.fixture(scope="module")
def locked_server() -> Iterator[RedisServer]:
    """A server that wants to know who asks, and may be stopped."""
    with own(running_redis("user shop on >right ~* +@all", "requirepass right", login="shop:right@")) as running:
        yield running


class TestRedis(BrokerConformance):
    tells_redelivery = False

    @pytest.fixture
    def broker(self, server: RedisServer) -> Any:
        return RedisUnderTest(server.places())

    @pytest.fixture
    def broker_of_ours(self, locked_server: RedisServer) -> Any:
        return RedisOfOurs(locked_server)
