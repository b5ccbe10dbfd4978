"""Batches without events: they are told now and then, and what has events at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from twofold.followers.sparing import sparing
from twofold.log import Batch, RecordedEvent


def batch(position: int, events: int = 0) -> Batch[RecordedEvent]:
    event = RecordedEvent(position, f"id-{position}", "Ticked", 1, b"[]", b"{}", b"{}", 0)
    return Batch([event] * events, position, position)


async def given(*batches: Batch[RecordedEvent]) -> AsyncIterator[Batch[RecordedEvent]]:
    """Yield batches, and then nothing for ever."""
    for each in batches:
        yield each
    await asyncio.Event().wait()


def test_what_has_events_is_not_held_up_and_is_not_lost() -> None:
    """Those before it without events are left out, as it goes further than they did."""

    async def scenario() -> None:
        found = sparing(given(batch(1), batch(2), batch(3, events=2), batch(4, events=1)))
        assert [(await anext(found)).position for _ in range(2)] == [3, 4]
        await found.aclose()  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_the_last_one_without_events_is_told_in_the_end() -> None:
    """Where nothing more comes, its position is known after a moment."""

    async def scenario() -> None:
        found = sparing(given(*[batch(position) for position in range(1, 1001)]))
        positions = [(await anext(found)).position]
        while positions[-1] < 1000:
            positions.append((await anext(found)).position)
        assert len(positions) < 1000
        await found.aclose()  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_what_fails_is_told_to_who_follows() -> None:
    """The error of the log comes out, and what was read before it is yielded or left to be read again."""

    async def failing() -> AsyncIterator[Batch[RecordedEvent]]:
        yield batch(1, events=1)
        raise ConnectionError

    async def scenario() -> None:
        found = sparing(failing())
        assert (await anext(found)).position == 1
        with pytest.raises(ConnectionError):
            await anext(found)

    asyncio.run(scenario())
