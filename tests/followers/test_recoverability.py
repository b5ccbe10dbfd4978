"""Recoverability: what policies answer, and when it is an outage."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from twofold.clock import SystemClock
from twofold.errors import InvalidMessage, Rejected, Unrecoverable, ValueRefused
from twofold.followers import Failure, Outage, Park, Policy, RetryAfter, RetryNow, retries
from twofold.limits import HandlerLimits
from twofold.telemetry import Telemetry


def answers(policy: Policy, error: BaseException, attempts: int) -> list[Any]:
    """Return what a policy says of so many failures in a row, up to the one that parks."""
    said = [policy(Failure("handler:tell", "order:1", 7, error, attempt, 0)) for attempt in range(1, attempts + 1)]
    return said[: said.index(Park()) + 1] if Park() in said else said


@pytest.mark.parametrize("immediate", [0, 1, 2, 5])
@pytest.mark.parametrize("delays", [(), (10,), (10, 60, 300)])
def test_an_event_is_tried_so_many_times_at_once_after_each_delay(immediate: int, delays: tuple[float, ...]) -> None:
    """With k immediate retries and d delayed ones that is (k+1)(d+1) times."""
    said = answers(retries(immediate, delays), OSError("down"), 100)
    assert len(said) == (immediate + 1) * (len(delays) + 1)
    assert [each.seconds for each in said if isinstance(each, RetryAfter)] == [*delays]
    assert said[-1] == Park()
    assert said.count(RetryNow()) == immediate * (len(delays) + 1)


@pytest.mark.parametrize(
    "error",
    [Unrecoverable("no"), InvalidMessage("no"), Rejected(), ValueRefused("no"), msgspec.ValidationError("no")],
)
def test_what_is_wrong_in_itself_is_not_tried_again(error: BaseException) -> None:
    """The same again would fail again; whoever knows better says which errors are so."""
    assert answers(retries(), error, 3) == [Park()]
    assert answers(retries(unrecoverable=()), error, 1) == [RetryNow()]


def test_after_a_retry_by_hand_there_are_attempts_at_once_and_no_more_delays() -> None:
    """What was parked after all of them is parked again soon, if it still fails."""
    policy = retries(1, [10])
    said = [policy(Failure("handler:tell", "order:1", 7, OSError("down"), attempts, 0)) for attempts in (4, 5, 6)]
    assert said == [Park(), RetryNow(), Park()]


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12])
def test_a_delay_is_a_time_that_comes(seconds: float) -> None:
    """Whoever waits longer than ten years has made a mistake."""
    with pytest.raises(ValueError, match="give a number of seconds from 0 to"):
        RetryAfter(seconds)
    with pytest.raises(ValueError, match="give a number of seconds from 0 to"):
        retries(1, [seconds])
    with pytest.raises(ValueError, match="give a number of retries"):
        retries(immediate=-1)


class Pausing(SystemClock):
    """A clock that takes note of pauses, and does not wait for them unless it is held."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.held = False

    def random(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(3600 if self.held else 0)


def outage(clock: Pausing) -> Outage:
    limits = HandlerLimits(outage_keys=3, longest_probe_seconds=5.0)
    return Outage("handler:tell", clock, limits, Telemetry(clock))


def test_keys_that_fail_in_a_row_are_an_outage_and_the_first_success_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    """One key that fails again and again is none; it is told once each way, however much fails in between."""
    caplog.set_level(logging.WARNING)
    about = outage(Pausing())
    down = OSError("down")
    assert not any(about.failed("a", down) for _ in range(10))
    assert not about.failed("b", down)
    about.succeeded()
    assert [about.failed(key, down) for key in "abcabc"] == [False, False, True, True, True, True]
    about.succeeded()
    about.succeeded()
    assert not about.is_on
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_while_it_is_on_one_is_tried_at_a_time_after_pauses_that_grow() -> None:
    """All others wait for their turn, and go on at once when one has succeeded."""
    clock = Pausing()
    about = outage(clock)
    at_once: list[int] = []
    under_way = [0]

    async def work() -> None:
        under_way[0] += 1
        at_once.append(under_way[0])
        await asyncio.sleep(0)
        under_way[0] -= 1
        if len(at_once) == 4:
            about.succeeded()
        elif about.is_on:
            about.failed("a", OSError("down"))

    async def scenario() -> None:
        for key in "abc":
            about.failed(key, OSError("down"))
        await asyncio.gather(*[about.run(work) for _ in range(12)])

    asyncio.run(scenario())
    assert at_once[:4] == [1, 1, 1, 1]
    assert len(at_once) == 12
    assert clock.pauses == [1.0, 2.0, 4.0, 5.0]


def test_who_ends_does_not_wait_for_a_probe() -> None:
    """The pause ends, and each of those who wait has its turn at once."""
    clock = Pausing()
    about = outage(clock)
    done: list[int] = []

    async def work(number: int) -> None:
        done.append(number)
        about.end()

    async def scenario() -> None:
        clock.held = True
        for key in "abc":
            about.failed(key, OSError("down"))
        probing = asyncio.ensure_future(about.run(lambda: work(1)))
        while not clock.pauses:
            await asyncio.sleep(0)
        about.end()
        await probing

    asyncio.run(scenario())
    assert done == [1]
