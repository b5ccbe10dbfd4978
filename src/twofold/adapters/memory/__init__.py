"""Everything in memory, for tests and first steps: nothing outlives the process."""

from twofold.adapters.memory.log import MemoryStore
from twofold.adapters.memory.transport import MemoryTransport

__all__ = ["MemoryStore", "MemoryTransport"]
