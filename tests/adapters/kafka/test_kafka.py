"""Kafka as a transport, certified by the suite that Twofold ships."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from twofold.clock import SystemClock
from twofold.limits import Limits
from twofold.messaging import Transport
from twofold.service.adapters import open_transport
from twofold.testing import TransportConformance
from twofold.testing.transport_conformance import SOURCE


class TestKafka(TransportConformance):
    @pytest.fixture
    def exchanges(self, url: str) -> Any:
        @asynccontextmanager
        async def exchange() -> AsyncIterator[Transport]:
            transport = open_transport(url, SystemClock(), Limits(), [SOURCE])
            yield transport
            await transport.close()

        return exchange
