"""The transport over RabbitMQ, certified by the suite that Twofold ships."""

from __future__ import annotations

from typing import Any

import pytest

from twofold.testing import TransportConformance


class TestRabbitMQ(TransportConformance):
    @pytest.fixture
    def exchanges(self, place: Any) -> Any:
        return place.transport
