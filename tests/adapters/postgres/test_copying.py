"""A log that moves between files, SQLite and PostgreSQL, in any direction, is the same log."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.bank import Balance, BalanceOf, Deposit, bank
from tests.copies import copying_process as mover
from tests.copies.copied_logs import ODD, filled, nobody, on, what_is_at
from tests.copies.test_copying import changed
from tests.copies.test_lines import EVENTS, in_a_row
from tests.support.cut_connection import POINTS, CuttingProxy
from twofold.adapters.postgres import PostgresStore
from twofold.copies.transfer import CopyResult, copy_log, export_log, import_log
from twofold.errors import LogDiverged, ValueRefused
from twofold.log import Append, Appended, Condition, Conflict, Criterion, LogStore, NewEvent, Outcome, RecordedEvent
from twofold.service import Settings

Place: TypeAlias = Callable[[str, str], str]
KINDS = ("sqlite", "postgresql", "file")
PAIRS = [(one, other) for one in KINDS for other in KINDS if (one, other) != ("file", "file")]
NUMBERS = count(1)


@pytest.fixture
def place(database: str, tmp_path: Path) -> Place:
    """Give URLs of logs, or names of files, by kind and name."""

    def url(kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{name}.db"
        return f"{database}?schema={name}" if kind == "postgresql" else str(tmp_path / f"{name}.jsonl")

    return url


def move(source: str, target: str) -> CopyResult:
    """Copy, export or import, as the two ask for."""
    if "://" not in target:
        return asyncio.run(export_log(source, target, nobody))
    return asyncio.run((copy_log if "://" in source else import_log)(source, target, nobody))


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_log_that_was_moved_is_the_same_log(place: Place, one: str, other: str) -> None:
    """All of its events and ids are there, to the byte; what has come since is moved too, and then there is nothing more."""
    origin, source, target, seen = (
        place("sqlite", "origin"),
        place(one, "one"),
        place(other, "other"),
        place("sqlite", "it"),
    )
    original = origin if one == "file" else source
    digests = set()
    for more, added in ((0, 6), (70, 70), (0, 0)):
        what_it_was = filled(original, more)
        if one == "file":
            digests.add(move(original, source).digest)
        moved = move(source, target)
        digests.add(moved.digest)
        if other == "file":
            digests.add(move(target, seen).digest)
        else:
            assert moved.added == added
        assert what_is_at(seen if other == "file" else target) == what_it_was
        assert (moved.events, moved.processed) == (len(what_it_was[0]), len(what_it_was[1]))
    assert len(digests) == 2, "that of the log as it was at first, and that of the log as it was then"


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
@pytest.mark.parametrize("one", KINDS)
def test_the_log_goes_on_where_it_has_moved_to(place: Place, one: str, other: str) -> None:
    """Positions go on, conditions see what was moved, and a command that is sent again gets its first receipt."""
    source, target = place(one, "one"), place(other, "other")
    if one == "file":
        filled(place("sqlite", "origin"))
        move(place("sqlite", "origin"), source)
    else:
        filled(source)
    move(source, target)

    async def scenario(store: LogStore) -> None:
        ann = (Criterion(tags=("account:ann",)),)
        new = NewEvent("new", "Deposited", 1, ("account:ann",), b"{}")
        outcomes = await store.write(
            [*ODD, Append((new,), (Condition(ann, 4),)), Append((new,), (Condition(ann, 5),))], 1
        )
        assert outcomes[:5] == [
            Appended(1, 1, repeated=True), Appended(2, 1, repeated=True), Appended(2, 3, repeated=True),
            Appended(4, 4, repeated=True), Appended(5, 5, repeated=True),
        ]  # fmt: skip
        assert outcomes[5:8] == [Appended(7, 7), Appended(7, 6, repeated=True), Appended(7, 6, repeated=True)]
        assert outcomes[8:] == [Conflict(5), Appended(8, 8)]
        assert [each.position for each in await store.read(ann)] == [1, 5, 8]
        assert [each.position for each in await store.read((Criterion(tags=("x:\0", "x:1")),))] == [2]
        assert [each.position for each in await store.read((Criterion(types=("it's",)),))] == [3]

    asyncio.run(on(target, scenario))


@pytest.mark.parametrize(("one", "other"), [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("file", "postgresql")])
def test_a_move_that_is_killed_goes_on(place: Place, one: str, other: str) -> None:
    """At any moment, while ids are moved and while events are: what is there by then is the beginning of the log."""
    origin, target = place("sqlite" if one == "file" else one, "one"), place(other, "other")
    events, processed = filled(origin, 1200)
    source = origin
    if one == "file":
        source = place(one, "one")
        move(origin, source)
    random = Random(20101201)
    killed_at = []
    for pages in (random.randrange(1, 15), random.randrange(40, 50), random.randrange(1, 5)):
        killed(source, target, pages)
        found, ids = what_is_at(target)
        assert found == events[: len(found)]
        lately = [each for each in processed if each.last >= len(found)]
        assert set(processed) - set(lately) <= set(ids) <= set(processed)
        killed_at.append(len(found))
    assert 0 == killed_at[0] < killed_at[1] <= killed_at[2] < len(events)
    assert move(source, target).added == len(events) - killed_at[2]
    assert what_is_at(target) == (events, processed)


def killed(source: str, target: str, pages: int) -> None:
    """Kill a move when it has said so many times how far it is; it never pauses."""
    command = [sys.executable, "-m", mover.__name__, source, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as moving:
        assert moving.stdout is not None
        for _ in range(pages):
            assert moving.stdout.readline(), "it has come to its end"
        moving.kill()


def test_a_copy_survives_lost_connections(place: Place, database: str) -> None:
    """Wherever a batch is cut off, up to and within its commit, it is there once, with what belongs to it."""
    filled(place("sqlite", "one"), 1200)
    events, processed = what_is_at(place("sqlite", "one"))
    batches = [(events[start : start + 20], processed[start : start + 20]) for start in range(0, len(events), 20)]

    async def scenario() -> int:
        async with CuttingProxy(database).serving() as proxy:
            store = PostgresStore(proxy.url)
            await store.open()
            for number, batch in enumerate(batches):
                proxy.cut_next(POINTS[number % len(POINTS)], spared=number // len(POINTS))
                await store.restore(*batch)
            await store.restore([], processed)
            await store.close()
            return proxy.cuts

    assert asyncio.run(scenario()) > len(batches) // 2
    assert what_is_at(database) == (events, processed)


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
def test_whoever_writes_to_an_unfinished_copy_is_found_out(place: Place, other: str) -> None:
    """The copy stops there, and neither overwrites what was written nor goes on behind it."""
    source, target = place("sqlite", "one"), place(other, "other")
    filled(source, 9000)
    early = Append((NewEvent("early", "Early", 1, (), b"{}"),))
    written: list[Outcome] = []

    def report(what: str, done: int, end: int) -> None:
        if done and not written:
            with ThreadPoolExecutor(1) as elsewhere:
                written.extend(
                    elsewhere.submit(asyncio.run, on(target, lambda store: store.write([early], 1))).result()
                )

    with pytest.raises(LogDiverged, match="The log has the event early at position") as caught:
        asyncio.run(copy_log(source, target, report))
    (outcome,) = written
    assert isinstance(outcome, Appended)
    assert f"at position {outcome.last}, where the More e-" in str(caught.value)
    assert [each.position for each in what_is_at(target)[0]] == list(range(1, outcome.last + 1))
    with pytest.raises(LogDiverged, match=f"At position {outcome.last} the copy has Early early, and the log More e-"):
        move(source, target)


@pytest.mark.parametrize(("one", "other"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_a_log_is_copied_while_it_grows(place: Place, one: str, other: str) -> None:
    """Each copy takes what was there when it began, and finds it equal; the last one, of a log at rest, takes the rest."""
    source, target = place(one, "one"), place(other, "other")
    filled(source, 500)

    async def scenario(store: LogStore) -> None:
        stopped = asyncio.Event()

        async def grow() -> None:
            number = 0
            while not stopped.is_set():
                number += 1
                new = NewEvent(f"new-{number}", "New", 1, ("x:1",), b"{}")
                await store.write([Append((new,), (), f"new-{number}"), Append((), (), f"nothing-{number}")], 1)

        growing = asyncio.create_task(grow())
        positions = [(await copy_log(source, target, nobody, compare_all=bool(n))).added for n in range(2)]
        stopped.set()
        await growing
        last = await copy_log(source, target, nobody, compare_all=False)
        assert min(positions) > 0
        assert last.after == sum(positions)
        assert last.added == last.events == await store.head() - last.after

    asyncio.run(on(source, scenario))
    assert what_is_at(target) == what_is_at(source)


def test_a_copy_only_reads_the_log(place: Place, database: str) -> None:
    """A connection that may not write will do, as would that of a user who has no right to."""
    filled(place("postgresql", "one"))
    copied = asyncio.run(
        copy_log(f"{place('postgresql', 'one')}&default_transaction_read_only=on", place("sqlite", "other"), nobody)
    )
    assert copied.added == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("type = 'A' || char(0)", "An event's type is a text of 1 to 500 characters"),
        ("version = 1 << 40", "An event's version is a whole number from 0 to 2147483647, and not 1099511627776."),
    ],
)
def test_what_no_log_takes_is_told(place: Place, change: str, said: str) -> None:
    """The text says where it is; and nothing is left out of a copy in silence."""
    filled(place("sqlite", "one"))
    changed(place("sqlite", "one"), f"UPDATE events SET {change} WHERE position = 3")
    with pytest.raises(ValueRefused, match=r"The target cannot hold all of positions 1 to 6: ") as caught:
        move(place("sqlite", "one"), place("postgresql", "other"))
    assert said in str(caught.value)
    assert what_is_at(place("postgresql", "other"))[0] == []


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_whatever_is_in_a_log_comes_through(place: Place, drawn: list[RecordedEvent]) -> None:
    """By way of SQLite, PostgreSQL and a file, every field of every event is as it was."""
    events = in_a_row(drawn)
    number = next(NUMBERS)
    first, *way = [place(kind, f"{kind}_{number}") for kind in ("sqlite", "postgresql", "file")]
    last = place("sqlite", f"last_{number}")
    asyncio.run(on(first, lambda store: store.restore(events, [])))
    for source, target in pairwise([first, *way, last]):
        move(source, target)
    assert what_is_at(last) == (events, [])


@pytest.mark.parametrize("views", ["kept", "made anew"])
def test_a_service_moves_to_postgresql(place: Place, views: str) -> None:
    """Its commands, views and receipts go on as if nothing had happened; kept views go on where they were."""
    old = Settings(log=place("sqlite", "bank"), views=place("sqlite", "views"))
    new = Settings(log=place("postgresql", "bank"), views=old.views if views == "kept" else place("postgresql", "bank"))

    async def scenario() -> None:
        async with bank.run(old) as running:
            first = await running.send(Deposit(account="ann", amount=100), id="form-1")
            await running.ask(BalanceOf(account="ann"), after=first)
        await copy_log(str(old.log), str(new.log), nobody)
        async with bank.run(new) as running:
            assert await running.send(Deposit(account="ann", amount=100), id="form-1") == first
            second = await running.send(Deposit(account="ann", amount=50), id="form-2")
            assert await running.ask(BalanceOf(account="ann"), after=second) == Balance(key="ann", amount=150)

    asyncio.run(scenario())
