"""The transport over NATS, certified by the suite that Twofold ships."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import nats
import pytest
from nats.js.errors import NotFoundError

from tests.support.servers.alone import own
from tests.support.servers.nats import NatsPlaces, NatsServer, running_nats
from twofold.testing import BrokerConformance
from twofold.testing.broker_conformance import StoredMessage


class NatsUnderTest:
    def __init__(self, places: NatsPlaces) -> None:
        self.url = places.url
        self._places = places

    async def put(self, attributes: Mapping[str, str], headers: Mapping[str, str], data: bytes) -> None:
        async with await nats.connect(self._places.server) as connection:
            streams = connection.jetstream()
            try:
                await streams.stream_info(self._places.stream)
            except NotFoundError:
                await streams.add_stream(name=self._places.stream, subjects=[self._places.subjects])
            named = {f"ce-{name}": quote(text) for name, text in attributes.items()}
            await streams.publish(self._places.subject, data, headers=named | dict(headers))

    async def dead_letters(self, group: str) -> Sequence[StoredMessage]:
        async with await nats.connect(self._places.server) as connection:
            streams = connection.jetstream()
            name = self._places.dead_letters
            kept = (await streams.stream_info(name)).state.messages
            found = [await streams.get_msg(name, seq=number) for number in range(1, kept + 1)]
        return [StoredMessage(each.headers or {}, each.data or b"") for each in found]


class NatsOfOurs(NatsUnderTest):
    wrong_password = "hidden"  # noqa: S105

    def __init__(self, server: NatsServer) -> None:
        super().__init__(server.places())
        self.wrong_url = self.url.replace(":right@", f":{self.wrong_password}@")
        self.stop = server.kill
        self.start = server.start


@pytest.fixture(scope="module")
def locked_server() -> Iterator[NatsServer]:
    """A server that wants to know who asks, and may be stopped."""
    lock = 'authorization { user: shop, password: "right" }'
    with own(running_nats(lock, login="shop:right@")) as running:
        yield running


class TestNats(BrokerConformance):
    @pytest.fixture
    def broker(self, server: NatsServer) -> Any:
        return NatsUnderTest(server.places())

    @pytest.fixture
    def broker_of_ours(self, locked_server: NatsServer) -> Any:
        return NatsOfOurs(locked_server)
