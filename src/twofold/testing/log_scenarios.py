"""What the log's suites share: events, criteria, and logs that are closed in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import pytest

from twofold.clock import SystemClock
from twofold.log import Criteria, Criterion, Log, LogStore, NewEvent, RecordedEvent

T = TypeVar("T")

CLOCK = SystemClock()
_PATIENCE_SECONDS = 60.0


def event(type_: str = "Deposited", *tags: str, data: bytes = b"{}", metadata: bytes = b"{}") -> NewEvent:
    """Return an event for a test."""
    return NewEvent(CLOCK.new_id(), type_, 1, tags, data, metadata)


def by_tag(*tags: str, types: Sequence[str] = ()) -> Criteria:
    """Return criteria for one set of tags."""
    return (Criterion(types=tuple(types), tags=tags),)


def by_type(*types: str) -> Criteria:
    """Return criteria for any of some types."""
    return (Criterion(types=types),)


def positions(events: Iterable[RecordedEvent]) -> list[int]:
    """Return where events are."""
    return [each.position for each in events]


async def all_of(*awaitables: Awaitable[T]) -> list[T]:
    """Wait for one after the other: tickets are in the queue already."""
    return [await each for each in awaitables]


async def follow(log: Log, criteria: Criteria, until: int, after: int = 0, limit: int = 1000) -> list[int]:
    """Return the positions of what a follower is given until it stands at a position, or beyond."""
    seen: list[int] = []
    async for batch in log.follow(criteria, after, limit):
        found = positions(batch.events)
        assert len(found) <= limit
        assert not found or (found[0] > after and found[-1] <= batch.position), "a batch lies between its positions"
        assert after < batch.position <= batch.head
        after = batch.position
        seen += found
        if after >= until:
            break
    return seen


class LogScenarios:
    """A suite that is given stores by a fixture."""

    @pytest.fixture
    def stores(self) -> Callable[[], LogStore]:
        """Give a function that returns a new store on the same data."""
        raise NotImplementedError("Override the fixture `stores`.")

    def run(self, stores: Callable[[], LogStore], scenario: Callable[..., Awaitable[T]], instances: int = 1) -> T:
        """Run a scenario with so many logs on the same data, and close them. Whatever waits for ever fails."""

        async def whole() -> T:
            logs = [await Log.open(stores(), CLOCK) for _ in range(instances)]
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    return await scenario(*logs)
            finally:
                for log in logs:
                    await log.close()

        return asyncio.run(whole())
