"""Everything in memory, for tests and first steps: nothing outlives the process."""

from twofold.adapters.memory.log import MemoryStore

__all__ = ["MemoryStore"]
