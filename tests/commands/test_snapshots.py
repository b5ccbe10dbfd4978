"""Snapshots: they save time, and what they are made of is never something else than the events say."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands.account_handlers import SharedStore, handling, new_event
from twofold import Aggregate, Command, Event, Tag, decide, evolve, replace
from twofold.adapters.memory import MemoryStore
from twofold.commands import deciders_of
from twofold.errors import LogUnavailable
from twofold.folding import fold_of
from twofold.log import Snapshot

BasketId = Annotated[str, Tag("basket")]


class Line(msgspec.Struct, frozen=True):
    sku: str
    units: int


class Put(Command):
    basket: BasketId
    sku: str
    units: int


class Filled(Event):
    basket: BasketId
    sku: str
    units: int


class Basket(Aggregate, key=BasketId):
    """Its state remembers everything, so that nothing that is left out or counted twice goes unseen."""

    snapshot_every = 3
    lines: tuple[Line, ...] = ()
    total: int = 0

    @decide
    def put(self, command: Put) -> Iterator[Filled]:
        if command.units:
            yield Filled(basket=command.basket, sku=command.sku, units=command.units)
        if command.units > 2:
            yield Filled(basket=command.basket, sku=command.sku, units=-1)

    @evolve
    def filled(self, event: Filled) -> Self:
        return replace(self, lines=(*self.lines, Line(event.sku, event.units)), total=self.total + event.units)


class CountingStore(MemoryStore):
    """Counts the events that are read, and the snapshots that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.read_events = 0
        self.kept: list[int] = []

    async def read(self, *arguments: Any, **options: Any) -> Any:
        events = await super().read(*arguments, **options)
        self.read_events += len(events)
        return events

    async def save_snapshot(self, fold: str, key: str, snapshot: Any) -> None:
        self.kept.append(snapshot.position)
        await super().save_snapshot(fold, key, snapshot)


async def state_of(store: MemoryStore, kind: type[Aggregate], key: str) -> Any:
    """Return the state as a new process loads it."""
    async with handling(store, []) as (handler, _):
        cached = handler.states.find(fold_of(kind), key)
        await handler.states.load(cached)
        return cached.known.state


puts = st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from(["lamp", "vase"]), st.integers(0, 4))


@given(st.lists(st.lists(puts, max_size=8), max_size=6))
def test_a_snapshot_and_the_events_after_it_make_what_all_events_make(runs: list[list[tuple[str, str, int]]]) -> None:
    """Whatever commands come, at once or one by one, and however often the process is started anew in between."""
    store = MemoryStore()

    async def scenario() -> None:
        for run in runs:
            async with handling(store, deciders_of(Basket)) as (handler, _):
                commands = [Put(basket=basket, sku=sku, units=units) for basket, sku, units in run]
                await asyncio.gather(*map(handler.handle, commands[: len(commands) // 2]))
                for command in commands[len(commands) // 2 :]:
                    await handler.handle(command)
        fold = fold_of(Basket)
        for key in ("ann", "bob"):
            events = await store.history(await _criteria(key))
            assert await state_of(store, Basket, key) == fold.replay(fold.initial(key), events)

    asyncio.run(scenario())


async def _criteria(key: str) -> Any:
    async with handling(SharedStore(), []) as (handler, _):
        return handler.states.find(fold_of(Basket), key).criteria


def test_a_long_state_is_not_folded_again() -> None:
    """A new process reads what came after the snapshot, and no more."""
    store = CountingStore()

    async def scenario() -> None:
        async with handling(store, deciders_of(Basket)) as (handler, _):
            for units in range(10):
                await handler.handle(Put(basket="ann", sku="lamp", units=units % 2 + 1))
        store.read_events = 0
        assert (await state_of(store, Basket, "ann")).total == 15

    asyncio.run(scenario())
    assert store.kept == [3, 6, 9]
    assert store.read_events == 1


def test_a_state_that_json_does_not_give_back_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Said once as a warning, for the one who must mend the annotation; the state is folded from all events instead."""

    class Loose(Aggregate, key=BasketId):
        snapshot_every = 1
        skus: Any = ()

        @decide
        def put(self, command: Put) -> Iterator[Filled]:
            yield Filled(basket=command.basket, sku=command.sku, units=command.units)

        @evolve
        def filled(self, event: Filled) -> Self:
            return replace(self, skus=(*self.skus, event.sku) if event.units else (object(),))

    store = CountingStore()

    async def scenario() -> None:
        async with handling(store, deciders_of(Loose)) as (handler, _):
            for units in (1, 0):
                await handler.handle(Put(basket="ann", sku="lamp", units=units))

    with caplog.at_level(logging.WARNING, "twofold.commands"):
        asyncio.run(scenario())
    assert store.kept == []
    assert caplog.text.count("No snapshot of Loose ann was kept, which costs only time") == 1


class Packed(Event):
    basket: BasketId
    at: datetime


def test_a_state_with_a_time_that_follows_the_rules_of_a_zone_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    """It would come back with a fixed offset, and a day later, in the night in which clocks change, be another hour."""

    class Parcel(Aggregate, key=BasketId):
        snapshot_every = 1
        at: datetime | None = None

        @evolve
        def packed(self, event: Packed) -> Self:
            return replace(self, at=event.at.astimezone(ZoneInfo("Europe/Berlin")))

    store = CountingStore()

    async def scenario() -> None:
        await store.open()
        async with handling(store, []) as (_, log):
            await log.append([new_event(Packed(basket="ann", at=datetime(2025, 10, 25, 12, tzinfo=UTC)))])
        await state_of(store, Parcel, "ann")

    with caplog.at_level(logging.WARNING, "twofold.commands"):
        asyncio.run(scenario())
    assert store.kept == []
    assert "at would not come back from JSON as it is" in caplog.text


def test_a_snapshot_of_another_process_is_behind_nobody() -> None:
    """Kept by one, it is the start of the other, which then reads on."""
    store = SharedStore()

    async def scenario() -> None:
        async with handling(store, deciders_of(Basket)) as (handler, _):
            for _ in range(3):
                await handler.handle(Put(basket="ann", sku="lamp", units=1))
        await store.others_append(Filled(basket="ann", sku="vase", units=5))
        assert (await state_of(store, Basket, "ann")).total == 8

    asyncio.run(scenario())


# Which code and which shape a snapshot is good for.


def basket(version: int = 1, default: int = 0, **changes: Any) -> type[Aggregate]:
    """Return a basket's class, the same but for what is asked for."""
    kind = changes.get("nested", int)
    step = changes.get("step", plain)

    class Basket(Aggregate, key=BasketId, version=version):
        total: int = default
        extra: kind | None = None  # type: ignore[valid-type]
        filled = evolve(step)

    return Basket


def plain(self: Any, event: Filled) -> Any:
    return replace(self, total=self.total + event.units)


def doubled(self: Any, event: Filled) -> Any:
    return replace(self, total=self.total + event.units * 2)


def listed(self: Any, event: Filled) -> Any:
    return replace(self, total=sum([n * 2 for n in range(event.units)]))


def listed_otherwise(self: Any, event: Filled) -> Any:
    return replace(self, total=sum([n * 3 for n in range(event.units)]))


def calling(self: Any, event: Filled) -> Any:
    return replace(self, total=max(self.total, event.units))


def calling_another(self: Any, event: Filled) -> Any:
    return replace(self, total=min(self.total, event.units))


def nested(kind: type, default: int) -> type:
    class Detail(msgspec.Struct, frozen=True):
        size: kind = default  # type: ignore[valid-type]

    return Detail


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (basket(), basket(version=2)),
        (basket(), basket(default=1)),
        (basket(), basket(step=doubled)),
        (basket(step=listed), basket(step=listed_otherwise)),
        (basket(step=calling), basket(step=calling_another)),
        (basket(nested=nested(int, 0)), basket(nested=nested(int, 1))),
        (basket(nested=nested(int, 0)), basket(nested=nested(float, 0))),
        (basket(nested=tuple[nested(int, 0), ...]), basket(nested=tuple[nested(int, 1), ...])),  # type: ignore[misc]
    ],
    ids=["version", "default", "constant", "comprehension", "call", "nested default", "nested type", "list of nested"],
)
def test_other_code_or_another_shape_has_another_fingerprint(one: type[Aggregate], other: type[Aggregate]) -> None:
    """What was folded by the one is not what the other would make of the events."""
    assert fold_of(one).fingerprint != fold_of(other).fingerprint
    assert fold_of(one).fingerprint == fold_of(one).fingerprint


def test_the_same_code_has_the_same_fingerprint() -> None:
    """Else no snapshot would ever be used."""
    assert fold_of(basket()).fingerprint == fold_of(basket()).fingerprint


def test_a_snapshot_of_another_shape_is_not_used() -> None:
    """The state is folded from the first event, and kept anew beside the old one."""
    store = CountingStore()

    async def scenario() -> None:
        await store.open()
        async with handling(store, []) as (_, log):
            await log.append([new_event(Filled(basket="ann", sku="lamp", units=units)) for units in (1, 2, 3)])
        for step, total in ((plain, 6), (doubled, 12), (plain, 6)):
            kind = basket(step=step)
            kind.snapshot_every = 1
            assert (await state_of(store, kind, "ann")).total == total

    asyncio.run(scenario())
    assert store.kept == [3, 3]


FINGERPRINT = """
from typing import Annotated, Self
from twofold import Aggregate, Event, Tag, evolve, replace
from twofold.folding import fold_of

class Filled(Event):
    basket: Annotated[str, Tag("basket")]

class Basket(Aggregate, key=Annotated[str, Tag("basket")]):
    names: frozenset[str] = frozenset({"a", "b", "c"})

    @evolve
    def filled(self, event: Filled) -> Self:
        return replace(self, names=self.names if event.basket in {"lamp", "vase", "jar", "box"} else frozenset())

print(fold_of(Basket).fingerprint)
"""


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """Sets have an order of their own in each; a snapshot has to be found again in all."""
    found = {
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT], env={"PYTHONHASHSEED": str(seed)}, check=True, capture_output=True
        ).stdout
        for seed in range(4)
    }
    assert len(found) == 1


# What cannot be used.


class DamagedStore(MemoryStore):
    """Has one snapshot, whoever asks for which, once there is anything in the log."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        return self.snapshot if await self.head() else None


async def filled(store: MemoryStore, count: int = 5) -> None:
    """Have a store hold a basket's events, and the snapshots that come of them."""
    async with handling(store, deciders_of(Basket)) as (handler, _):
        for _ in range(count):
            await handler.handle(Put(basket="ann", sku="lamp", units=1))


@pytest.mark.parametrize(
    ("position", "data"),
    [
        (3, b""),
        (3, b"{"),
        (3, b"null"),
        (3, b"[]"),
        (3, b'{"key":"ann","lines":7}'),
        (3, b'{"key":"ann","lines":[],"total":"many"}'),
        (3, b'{"key":"bob","lines":[],"total":9}'),
        (3, b'{"lines":[],"total":9}'),
        (3, b"\xff\xfe"),
        (99, b'{"key":"ann","lines":[],"total":9}'),
        (0, b'{"key":"ann","lines":[],"total":9}'),
        (-3, b'{"key":"ann","lines":[],"total":9}'),
        (2.5, b'{"key":"ann","lines":[],"total":9}'),
    ],
    ids=[
        "nothing", "cut", "null", "list", "field", "type", "another key", "no key", "bytes", "beyond the log",
        "before the log", "negative", "between two",
    ],
)  # fmt: skip
def test_a_snapshot_that_cannot_be_used_is_folded_anew_with_one_warning(
    position: int, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut short, of another shape, of another key, from another log: the events say it all."""
    store = DamagedStore(Snapshot(position, data))

    async def scenario() -> None:
        await filled(store)
        with caplog.at_level(logging.WARNING):
            assert (await state_of(store, Basket, "ann")).total == 5

    asyncio.run(scenario())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "No snapshot of Basket ann was used, and its events are folded instead" in caplog.text


def test_a_store_that_fails_to_load_a_snapshot_is_asked_for_the_events(caplog: pytest.LogCaptureFixture) -> None:
    """A cache may fail, and nobody has to wait until it is mended."""

    class Failing(MemoryStore):
        async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
            raise LogUnavailable("the table of snapshots is damaged")

    store = Failing()

    async def scenario() -> None:
        await filled(store)
        assert (await state_of(store, Basket, "ann")).total == 5

    asyncio.run(scenario())
    assert "the table of snapshots is damaged" in caplog.text


def test_a_store_that_fails_to_keep_a_snapshot_fails_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """With whatever error: the command was done, and closing ends as it should."""

    class Failing(MemoryStore):
        async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
            raise RuntimeError("the adapter of snapshots is at fault")

    asyncio.run(filled(Failing()))
    assert (
        "No snapshot of Basket ann was kept, which costs only time: the adapter of snapshots is at fault" in caplog.text
    )


LOCK = threading.Lock()


def test_a_state_whose_code_cannot_be_described_has_no_snapshots(caplog: pytest.LogCaptureFixture) -> None:
    """A snapshot of it might be another program's. It is said once, with what is in the way."""

    class Locked(Aggregate, key=BasketId):
        snapshot_every = 1
        total: int = 0

        @decide
        def put(self, command: Put) -> Iterator[Filled]:
            yield Filled(basket=command.basket, sku=command.sku, units=command.units)

        @evolve
        def filled(self, event: Filled) -> Self:
            with LOCK:
                return replace(self, total=self.total + event.units)

    store = CountingStore()

    async def scenario() -> None:
        async with handling(store, deciders_of(Locked)) as (handler, _):
            for _ in range(3):
                await handler.handle(Put(basket="ann", sku="lamp", units=1))
        assert (await state_of(store, Locked, "ann")).total == 3

    asyncio.run(scenario())
    assert store.kept == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "LOCK is a _thread.lock" in caplog.text
