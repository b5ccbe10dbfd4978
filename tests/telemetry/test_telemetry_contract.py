"""What is declared is what is told, and what the page says: whoever builds on a telemetry event finds it there tomorrow."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from tests.support.push_transport import PushingTransport
from tests.support.waiting import until
from tests.telemetry import metering
from tests.telemetry.metering import BROKEN, UNSPEAKABLE, Read, ReadingOf, Report
from twofold.errors import IdReused
from twofold.limits import FollowerLimits, HandlerLimits, Limits, QueryLimits
from twofold.messages import Receipt
from twofold.operations import databases, parked, segments
from twofold.service import Running, Settings
from twofold.telemetry import TelemetryEvent
from twofold.telemetry.events import (
    CommandConflicted,
    FollowerDiscarded,
    FollowerHandled,
    FollowerParked,
    FollowerStopped,
    FollowerUnparked,
    InboxRecorded,
    LiveFailed,
    LiveUpdated,
    LogCommitted,
    OutageBegan,
    OutageEnded,
    QueryAnswered,
    declared,
    labels_of,
    measures_of,
    name_of,
)

PAGE = Path(__file__).parent.parent.parent / "docs" / "telemetry.md"
UNITS = {"seconds", "events", "bytes", "appends", "conflicts", "attempts", "subscribers", "keys", "rows"}
NAMES = {"command", "rejection", "error", "state", "follower", "query", "source", "table"}
LIMITS = Limits(
    # Every answer is looked for in the cache, what fails is parked soon, and who loses a segment learns it when it stores.
    queries=QueryLimits(worthwhile_ratio=0.0), followers=FollowerLimits(attempts=2, lease_seconds=60.0),
    handlers=HandlerLimits(outage_keys=2, longest_probe_seconds=0.1),
)  # fmt: skip


class Heard:
    """All that was told, by all services."""

    def __init__(self) -> None:
        self.events: list[tuple[TelemetryEvent, str]] = []

    def __call__(self, event: TelemetryEvent, service: str) -> None:
        self.events.append((event, service))

    async def comes(self, kind: type[TelemetryEvent], condition: Callable[..., bool] = lambda event: True) -> None:
        """Return once something of a kind was told."""

        async def is_there() -> bool:
            return any(type(event) is kind and condition(event) for event, _ in self.events)

        await until(is_there)


def settings(folder: Path, service: str) -> Settings:
    return Settings(
        log=f"sqlite:///{folder}/{service}.db", views=f"sqlite:///{folder}/{service}-views.db", limits=LIMITS
    )


async def decide(one: Running, other: Running) -> Receipt:
    """Send commands that are decided, decided again, rejected, and not done."""
    await one.send(Report(meter="a", reading=1), id="first")
    await other.send(Report(meter="a", reading=2))
    receipt = await one.send(Report(meter="a", reading=3))
    with pytest.raises(metering.Backwards):
        await one.send(Report(meter="a", reading=2))
    with pytest.raises(IdReused):
        await one.send(Report(meter="a", reading=9), id="first")
    return receipt


async def ask(one: Running, receipt: Receipt, heard: Heard) -> None:
    """Ask and watch: what is found, found again, and what fails."""
    assert await one.ask(Read(), after=receipt) == ["a"]
    for _ in range(2):
        assert (await one.answered(ReadingOf(meter="a"), after=receipt)).data == b"3"
    with await one.subscribe(ReadingOf(meter="b"), after=receipt) as subscription:
        await subscription.next()
        await heard.comes(LiveUpdated)
        receipt = await one.send(Report(meter="b", reading=UNSPEAKABLE))
        await heard.comes(LiveFailed)
    with pytest.raises(ValueError, match="no word"):
        await one.ask(ReadingOf(meter="b"), after=receipt)


async def park(one: Running, heard: Heard, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a view park what it cannot take in, mend it, and divide what is followed."""
    await one.send(Report(meter="c", reading=BROKEN))
    await heard.comes(FollowerParked)
    await heard.comes(OutageBegan)
    monkeypatch.setattr(metering, "mended", True)
    here = settings(folder, "metering")
    async with databases.opened(metering.metering.declaration, here, to_mend=True) as mending:
        keys = await parked.find_parked(mending, "latest_v1")
        await parked.retry(mending, keys)
        await heard.comes(FollowerUnparked, lambda event: event.follower == "latest_v1")
        await heard.comes(OutageEnded)
        await heard.comes(FollowerDiscarded)
        await segments.split(mending, "latest_v1", 2)
    await one.send(Report(meter="a", reading=4))
    await heard.comes(FollowerStopped, lambda event: event.follower == "latest_v1")


async def everything(folder: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = PushingTransport([("billing", "metering")])
    async with AsyncExitStack() as stack:
        started = [
            await stack.enter_async_context(service.run(settings(folder, service.name), transport=transport))
            for service in (metering.metering, metering.metering, metering.billing)
        ]
        for each in started:
            stack.callback(each.telemetry.attach(heard))
        one, other, _ = started
        receipt = await decide(one, other)
        await ask(one, receipt, heard)
        await heard.comes(InboxRecorded, lambda event: bool(event.events))
        await heard.comes(FollowerHandled, lambda event: event.follower == "heard_v1")
        await park(one, heard, folder, monkeypatch)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[TelemetryEvent, str]]:
    """Return what is told while two services run, the one twice, and everything happens to them that is told."""
    heard = Heard()
    with pytest.MonkeyPatch.context() as monkeypatch:
        asyncio.run(everything(tmp_path_factory.mktemp("metering"), heard, monkeypatch))
    return heard.events


@pytest.mark.parametrize("kind", declared(), ids=name_of)
def test_what_is_declared_is_told(kind: type[TelemetryEvent], told: list[tuple[TelemetryEvent, str]]) -> None:
    """Each telemetry event comes from real services, with exactly the measures and labels that it is declared with."""
    found = [event for event, _ in told if type(event) is kind]
    assert found
    for event in found:
        assert (event.name, [*event.measures], [*event.labels]) == (
            name_of(kind),
            [*measures_of(kind)],
            [*labels_of(kind)],
        )
        assert msgspec.convert(msgspec.to_builtins(event), kind, strict=True) == event
        assert all(value >= 0 for value in event.measures.values())


def test_labels_are_few(told: list[tuple[TelemetryEvent, str]]) -> None:
    """However many keys, ids and positions there are, a label has a text that the declaration has, or the code."""
    assert {service for _, service in told} == {"metering", "billing"}
    found = {name: {event.labels[name] for event, _ in told if name in event.labels} for name in NAMES}
    assert found["command"] == {"Report"}
    assert found["rejection"] == {"Backwards"}
    assert found["state"] == {"Meter"}
    assert found["query"] == {"ReadingOf", "Read"}
    listening = {"latest_v1", "heard_v1", "handler:tell", "inbox:metering", "relay"}
    # What follows commands and timers, of which there are none, tells of that only where it takes long.
    assert listening <= found["follower"] <= listening | {"commands", "timers"}
    assert found["error"] <= {"IdReused", "ValueError", "LeaseLost", "ConnectionError"}


def test_what_is_measured_is_what_happened(told: list[tuple[TelemetryEvent, str]]) -> None:
    """The numbers are those of the scenario: six of eight reports were stored, one after a conflict, and one is cached."""
    events = [event for event, service in told if service == "metering"]
    commits = [event for event in events if isinstance(event, LogCommitted)]
    assert sum(each.events for each in commits) == 6
    assert sum(each.conflicts for each in commits) == 1
    assert sum(isinstance(event, CommandConflicted) for event in events) == 1
    assert sum(isinstance(event, QueryAnswered) and event.source == "cached" for event in events) == 1
    assert [event.attempts for event in events if isinstance(event, FollowerParked)] == [2]
    recorded = [event for event, _ in told if isinstance(event, InboxRecorded)]
    assert sum(event.refused_events for event in recorded) == 0


@pytest.mark.parametrize("kind", declared(), ids=name_of)
def test_a_declaration_keeps_the_rules(kind: type[TelemetryEvent]) -> None:
    """A name has a noun before its dot, a measure its unit at its end, and a label few texts; a sentence says what it is."""
    assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", name_of(kind))
    assert {*measures_of(kind).values()} <= UNITS
    assert all(name in NAMES or texts for name, texts in labels_of(kind).items())
    assert "\n" not in (kind.__doc__ or "\n")


def row(kind: type[TelemetryEvent]) -> str:
    """Return a telemetry event as the page shows it."""
    measures = ", ".join(f"`{name}`" for name in measures_of(kind))
    labels = ", ".join(
        f"`{name}`" + (f" ({', '.join(texts)})" if texts else "") for name, texts in labels_of(kind).items()
    )
    return f"| `{name_of(kind)}` | {measures} | {labels} | {kind.__doc__} |".replace("|  |", "| |")


def test_the_page_shows_what_is_declared() -> None:
    """The table on the page is the declaration, in its order."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [row(kind) for kind in declared()]
