"""The log in memory, certified by the suite that is shipped."""

from collections.abc import Callable

import pytest

from twofold.adapters.memory import MemoryStore
from twofold.log import LogStore
from twofold.testing import LogConformance


class TestMemoryStore(LogConformance):
    @pytest.fixture
    def stores(self) -> Callable[[], LogStore]:
        store = MemoryStore()
        return lambda: store
