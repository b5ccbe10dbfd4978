"""The transport over any broker: how long it waits for what is missing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec
import pytest

from twofold.clock import SystemClock
from twofold.errors import LogCorrupted, LogUnavailable
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


def transport_of(*steps: tuple[float, Sequence[Message]]) -> BrokerTransport[Message]:
    clock = SteppedClock()
    return BrokerTransport(Script(clock, steps), clock, BrokerLimits(missing_seconds=30))


async def heard(transport: BrokerTransport[Message], after: int = 0) -> list[str]:
    """Return the ids of what comes, and how it ended."""
    ids: list[str] = []
    async with aclosing(transport.subscribe("buying", "till", after)) as deliveries:
        try:
            async for delivery in deliveries:
                ids += [event.id for event in delivery.events]
        except (LogUnavailable, LogCorrupted) as error:
            ids.append(str(error))
        except IndexError:
            ids.append("end")
    return ids


def test_what_comes_too_early_after_a_long_silence_is_waited_with() -> None:
    """How long nothing was published says nothing about what is on its way by another partition."""
    steps = [(0, [event_at(1)]), (1, []), (3600, []), (1, [event_at(3)]), (1, [event_at(2)])]
    ids = asyncio.run(heard(transport_of(*steps)))
    assert ids == ["id-1", "id-2", "id-3", "end"]


@pytest.mark.parametrize(
    "comes", [event_at(1), event_at(0, "of-somebody-else")], ids=["repetition", "without position"]
)
def test_what_is_missing_is_told_while_other_messages_come(comes: Message) -> None:
    """Messages that bring the source's log no further do not put off when that is told."""
    steps = [(10.0, [comes])] * 4
    *_, told = asyncio.run(heard(transport_of((0, [event_at(1)]), (1, [event_at(3)]), *steps)))
    assert "after position 1 and up to 2 has not come" in told


def test_another_event_at_a_position_is_no_repetition() -> None:
    """A source whose log was replaced by an older one uses positions again: that is told, as often as it is heard."""
    again = [event_at(2, "of-another-log")]

    async def scenario() -> None:
        transport = transport_of((0, [event_at(1), event_at(2)]), (1, [event_at(2)]), (1, again), (1, again))
        assert (await heard(transport))[:2] == ["id-1", "id-2"]
        (told,) = await heard(transport, after=2)
        assert "event of-another-log at position 2, and event id-2 at the same before" in told

    asyncio.run(scenario())
