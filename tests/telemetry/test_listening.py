"""Listening: who is told what, and that nobody else is harmed by it."""

import asyncio
import logging

import pytest

from examples.bank import Deposit, bank
from twofold.clock import SystemClock
from twofold.telemetry import Telemetry, TelemetryEvent
from twofold.telemetry.events import CommandConflicted, CommandDecided
from twofold.testing import running

EVENT = CommandConflicted(attempts=1, command="Deposit")


def test_who_listens_is_told_until_it_is_detached() -> None:
    """Each listener is told of everything that happens between attaching and detaching, with the service's name."""
    telemetry = Telemetry(SystemClock(), "bank")
    early: list[tuple[TelemetryEvent, str]] = []
    late: list[tuple[TelemetryEvent, str]] = []
    detach_early = telemetry.attach(lambda *told: early.append(told))
    telemetry.emit(EVENT)
    detach_late = telemetry.attach(lambda *told: late.append(told))
    telemetry.emit(EVENT)
    detach_early()
    telemetry.emit(EVENT)
    detach_late()
    telemetry.emit(EVENT)
    assert early == late == [(EVENT, "bank")] * 2


def test_detaching_twice_takes_nobody_else_along() -> None:
    """A listener that was attached twice is told twice, and each attachment ends by itself."""
    telemetry = Telemetry(SystemClock())
    told: list[TelemetryEvent] = []

    def listen(event: TelemetryEvent, service: str) -> None:
        told.append(event)

    detach = telemetry.attach(listen)
    telemetry.attach(listen)
    detach()
    detach()
    telemetry.emit(EVENT)
    assert told == [EVENT]


def test_nothing_is_measured_where_nobody_listens() -> None:
    """Not even the clock is asked; and of what had begun before somebody came nothing is told, as its length is not known."""

    class Timeless(SystemClock):
        def monotonic(self) -> float:
            raise AssertionError("nobody listens")

    telemetry = Telemetry(Timeless())
    assert telemetry.began() is None
    telemetry.attach(print)()
    assert telemetry.began() is None


@pytest.mark.parametrize("error", [ValueError("no room"), asyncio.CancelledError()], ids=["error", "cancellation"])
def test_a_listener_that_raises_harms_nobody(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """The command is done, the other listeners are told, and the log says once whose fault it is."""

    async def scenario() -> list[TelemetryEvent]:
        told: list[TelemetryEvent] = []

        def fail(event: TelemetryEvent, service: str) -> None:
            raise error

        async with running(bank) as started:
            started.telemetry.attach(fail)
            started.telemetry.attach(lambda event, service: told.append(event))
            for _ in range(3):
                await started.send(Deposit(account="ann", amount=1))
        return told

    told = asyncio.run(scenario())
    assert sum(isinstance(event, CommandDecided) for event in told) == 3
    (record,) = [each for each in caplog.records if each.name == "twofold.telemetry"]
    assert record.levelno == logging.ERROR
    assert "bank" in record.getMessage()


def test_what_would_have_to_be_awaited_cannot_listen() -> None:
    """It would never run, and nobody would know."""

    async def listen(event: TelemetryEvent, service: str) -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        Telemetry(SystemClock()).attach(listen)


def test_a_listener_may_detach_itself_while_it_is_told() -> None:
    """Whoever waits for one thing goes when it has come, and the others are told all the same."""
    telemetry = Telemetry(SystemClock())
    told: list[str] = []

    def once(event: TelemetryEvent, service: str) -> None:
        told.append("once")
        detach()

    detach = telemetry.attach(once)
    telemetry.attach(lambda event, service: told.append("always"))
    telemetry.emit(EVENT)
    telemetry.emit(EVENT)
    assert told == ["once", "always", "always"]
