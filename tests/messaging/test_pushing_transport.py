"""The transport that stands for all that push, certified by the suite that Twofold ships."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.push_transport import PushingTransport
from twofold.testing import TransportConformance
from twofold.testing.transport_conformance import SOURCE, SUBSCRIBERS


class TestPushingTransport(TransportConformance):
    @pytest.fixture
    def exchanges(self) -> Any:
        @asynccontextmanager
        async def exchange() -> AsyncIterator[PushingTransport]:
            transport = PushingTransport([(group, SOURCE) for group in SUBSCRIBERS])
            yield transport
            await transport.close()

        return exchange
