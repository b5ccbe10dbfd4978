"""The transport over any broker: how long it waits for what is missing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec
import pytest

from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.limits import BrokerLimits
from twofold.messaging import BrokerTransport, Content, Delivery, Message, Published
from twofold.messaging.wire import messages


class SteppedClock(SystemClock):
    """A clock that stands still unless it is told how much time has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Script:
    """A broker that brings what it is told to, each time so many seconds after the time before, and then nothing more."""

    def __init__(self, clock: SteppedClock, steps: Sequence[tuple[float, Sequence[Message]]]) -> None:
        self._clock = clock
        self._steps = [*steps]

    async def publish(self, source: str, messages: Sequence[Message]) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def incoming(self, group: str, source: str) -> AsyncIterator["Script"]:
        yield self

    async def receive(self, most: int, seconds: float) -> Sequence[Message]:
        passed, brought = self._steps.pop(0)
        self._clock.seconds += passed
        return brought

    def content(self, message: Message) -> Content:
        return Content(message.attributes, message.data)

    async def set_aside(self, message: Message, reason: str) -> str:
        raise NotImplementedError

    async def settle(self, messages: Sequence[Message]) -> None:
        pass

    async def close(self) -> None:
        pass


def event_at(position: int, id: str = "") -> Message:
    """Return a message about the event at a position, of which 0 is none."""
    event = Published(id or f"id-{position}", "till", "Sold", 1, "", position, 5, msgspec.Raw(b"{}"))
    return next(messages(Delivery("till", [event], position, max(position - 1, 0))))


async def heard(*steps: tuple[float, Sequence[Message]]) -> list[str]:
    """Return the ids of what comes by some steps, and what is said if something is missing."""
    clock, ids = SteppedClock(), []
    transport = BrokerTransport(Script(clock, steps), clock, BrokerLimits(missing_seconds=30))
    async with aclosing(transport.subscribe("buying", "till", 0)) as deliveries:
        try:
            async for delivery in deliveries:
                ids += [event.id for event in delivery.events]
        except LogUnavailable as error:
            ids.append(str(error))
        except IndexError:
            ids.append("end")
    return ids


def test_what_comes_too_early_after_a_long_silence_is_waited_with() -> None:
    """How long nothing was published says nothing about what is on its way by another partition."""
    ids = asyncio.run(heard((0, [event_at(1)]), (1, []), (3600, []), (1, [event_at(3)]), (1, [event_at(2)])))
    assert ids == ["id-1", "id-2", "id-3", "end"]


@pytest.mark.parametrize(
    "comes", [event_at(1), event_at(0, "of-somebody-else")], ids=["repetition", "without position"]
)
def test_what_is_missing_is_told_while_other_messages_come(comes: Message) -> None:
    """Messages that bring the source's log no further do not put off when that is told."""
    steps = [(10.0, [comes])] * 4
    *_, told = asyncio.run(heard((0, [event_at(1)]), (1, [event_at(3)]), *steps))
    assert "after position 1 and up to 2 has not come" in told
