"""The transport within a process, certified by the suite that Twofold ships."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from twofold.adapters.memory import MemoryTransport
from twofold.testing import TransportConformance
from twofold.testing.transport_conformance import SOURCE, SUBSCRIBERS


class TestMemoryTransport(TransportConformance):
    @pytest.fixture
    def exchanges(self) -> Any:
        @asynccontextmanager
        async def exchange() -> AsyncIterator[MemoryTransport]:
            transport = MemoryTransport([(group, SOURCE) for group in SUBSCRIBERS])
            yield transport
            await transport.close()

        return exchange
