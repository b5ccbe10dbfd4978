"""Copies are the log: what is not the same is found, and said."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.copies.copied_logs import CLOCK, everything, filled, nobody, on, what_is_at
from tests.copies.test_lines import EVENTS, IDS, exported, imported, in_a_row
from twofold.adapters.memory import MemoryStore
from twofold.copies.copying import common_head, compare, copy
from twofold.copies.transfer import copy_log, export_log, import_log
from twofold.errors import LogCorrupted, LogDiverged, LogUnavailable, SettingsError, TwofoldError
from twofold.log import Append, Log, NewEvent, ProcessedId, RecordedEvent, reading


@pytest.fixture
def url(tmp_path: Path) -> Callable[[str], str]:
    return lambda name: f"sqlite:///{tmp_path}/{name}.db"


def changed(url: str, *statements: str) -> None:
    """Change a log by hand."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def append(url: str, id: str, *commands: str) -> None:
    """Append an event, and handle commands that lead to nothing."""
    asyncio.run(_append(url, id, commands))


async def _append(url: str, id: str, commands: tuple[str, ...]) -> None:
    batch = [Append((NewEvent(id, "Noted", 1, (), b"{}"),))] if id else []
    await on(url, lambda store: store.write([*batch, *[Append((), (), each) for each in commands]], 1))


@given(st.lists(EVENTS, max_size=6), st.lists(IDS, max_size=6, unique_by=lambda each: each.key))
def test_copying_and_exporting_change_nothing(events: list[RecordedEvent], processed: list[ProcessedId]) -> None:
    """Whatever is in a log is in a copy of it, and in the log that its lines make."""
    events = in_a_row(events)
    known = [ProcessedId(each.key or "-", each.first, each.last % (len(events) + 1)) for each in processed]
    known = sorted({each.key: each for each in known}.values(), key=lambda each: each.key.encode())

    async def scenario() -> None:
        source, target, restored = MemoryStore(), MemoryStore(), MemoryStore()
        await source.restore(events, known)
        log = await Log.open(source, CLOCK)
        added = await copy(log, target, await common_head(log, target), nobody)
        found = await compare(log, target, 0, nobody)
        assert str(found) == str(added)
        await restored.restore(*imported(exported(*await everything(target))))
        assert await everything(restored) == await everything(source) == (events, known)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "UPDATE events SET data = '{}' WHERE position = 3",
            r"At position 3 the copy has data='{}', and the log data=b''.",
        ),
        (
            "UPDATE events SET metadata = x'00' WHERE position = 4",
            r"At position 4 the copy has encoded_metadata=b'\x00', and",
        ),
        (
            "UPDATE events SET tags = '[]' WHERE position = 5",
            "At position 5 the copy has encoded_tags='[]', and the log",
        ),
        (
            "UPDATE events SET recorded_at = 7 WHERE position = 6",
            "At position 6 the copy has recorded_at_us=7, and the log",
        ),
        (
            "UPDATE events SET version = 2 WHERE position = 1",
            "At position 1 the copy has version=2, and the log version=1.",
        ),
        (
            "UPDATE events SET type = 'B' WHERE position = 1",
            "At position 1 the copy has type='B', and the log type='Deposited'.",
        ),
        ("UPDATE events SET id = '9' WHERE position = 2", "At position 2 the copy has id='9', and the log id='2'."),
        ("DELETE FROM events WHERE position = 2", "The copy has no event at position 2."),
        (
            "DELETE FROM handled WHERE id = 'c-1'",
            "The id 'c-1' is remembered by the log with the positions (1, 1), and by the copy not.",
        ),
        (
            "UPDATE handled SET digest = x'0102' WHERE id = 'led to nothing'",
            "and the content 0102, and by the log with the positions (2, 1) and the content 00636f6e74656e74.",
        ),
        (
            "UPDATE handled SET last = 2 WHERE id = 'c-1'",
            "The id 'c-1' is remembered by the copy with the positions (1, 2), and by the log with the positions (1, 1).",
        ),
        (
            "INSERT INTO handled VALUES ('z', 1, 1, '')",
            "The id 'z' is remembered by the copy with the positions (1, 1), and by the log not.",
        ),
    ],
)
def test_a_damaged_copy_is_found(url: Callable[[str], str], change: str, said: str) -> None:
    """The text says where it differs and in what; the log is not touched, and the copy not mended."""
    was = filled(url("log"), 50)
    asyncio.run(copy_log(url("log"), url("copy"), nobody))
    changed(url("copy"), change)
    with pytest.raises(LogDiverged) as caught:
        asyncio.run(copy_log(url("log"), url("copy"), nobody))
    assert said in str(caught.value)
    assert what_is_at(url("log")) == was


def test_only_what_is_new_may_be_compared(url: Callable[[str], str]) -> None:
    """Then what was copied before is taken for right, and what is copied now is not."""
    filled(url("log"), 10)
    asyncio.run(copy_log(url("log"), url("copy"), nobody))
    changed(url("copy"), "UPDATE events SET data = '{}' WHERE position = 3")
    append(url("log"), "new", "nothing")
    moved = asyncio.run(copy_log(url("log"), url("copy"), nobody, compare_all=False))
    assert (moved.added, moved.after, moved.events) == (1, 16, 1)
    with pytest.raises(LogDiverged, match="At position 3"):
        asyncio.run(copy_log(url("log"), url("copy"), nobody))


@pytest.mark.parametrize("first_other", [1, 2, 37, 56])
def test_a_copy_of_something_else_is_refused(url: Callable[[str], str], first_other: int) -> None:
    """The text names the first position at which they part; nothing is copied."""
    filled(url("log"), 50)
    asyncio.run(copy_log(url("log"), url("copy"), nobody))
    changed(url("copy"), f"UPDATE events SET id = 'other-' || position WHERE position >= {first_other}")
    append(url("log"), "new")
    was = what_is_at(url("copy"))
    with pytest.raises(LogDiverged) as caught:
        asyncio.run(copy_log(url("log"), url("copy"), nobody))
    assert f"At position {first_other} the copy has " in str(caught.value)
    assert f" other-{first_other}, and the log " in str(caught.value)
    assert "Give the copy another place, or empty this one, and copy again." in str(caught.value)
    assert what_is_at(url("copy")) == was


def test_a_copy_that_is_ahead_is_refused(url: Callable[[str], str]) -> None:
    """Somebody uses it already, or source and target were mixed up."""
    filled(url("log"))
    asyncio.run(copy_log(url("log"), url("copy"), nobody))
    append(url("copy"), "new")
    with pytest.raises(LogDiverged, match="The copy goes on after position 6, where the log ends"):
        asyncio.run(copy_log(url("log"), url("copy"), nobody))


def test_commands_that_lead_to_nothing_are_copied_without_an_event(url: Callable[[str], str]) -> None:
    """They leave no trace in the events, and are handled once all the same, whenever they come."""
    filled(url("log"))
    asyncio.run(copy_log(url("log"), url("copy"), nobody))
    append(url("log"), "", "late")
    moved = asyncio.run(copy_log(url("log"), url("copy"), nobody, compare_all=False))
    assert moved.added == 0
    assert what_is_at(url("copy")) == what_is_at(url("log"))
    append(url("copy"), "", "nobody's")
    with pytest.raises(
        LogDiverged, match=r"nobody's.* is remembered by the copy with the positions \(7, 6\), and by the log not"
    ):
        asyncio.run(copy_log(url("log"), url("copy"), nobody))


def test_an_empty_log_can_be_moved(url: Callable[[str], str], tmp_path: Path) -> None:
    """There is nothing to copy, and that is no error; commands may have been handled all the same."""
    asyncio.run(copy_log(_empty(url("log")), url("copy"), nobody))
    append(url("log"), "", "nothing")
    assert asyncio.run(copy_log(url("log"), url("copy"), nobody)).processed == 1
    file = str(tmp_path / "log.jsonl.gz")
    exported = asyncio.run(export_log(url("log"), file, nobody))
    assert asyncio.run(import_log(file, url("imported"), nobody)) == exported
    assert (
        what_is_at(url("log"))
        == what_is_at(url("copy"))
        == what_is_at(url("imported"))
        == ([], [ProcessedId("nothing", 1, 0)])
    )


def _empty(url: str) -> str:
    append(url, "")
    return url


def test_a_log_with_a_gap_is_not_copied(url: Callable[[str], str]) -> None:
    """What is broken is mended where it is, and not multiplied."""
    filled(url("log"))
    changed(url("log"), "DELETE FROM events WHERE position = 2")
    with pytest.raises(LogCorrupted, match="no event at position 2"):
        asyncio.run(copy_log(url("log"), url("copy"), nobody))


def test_large_events_are_moved_a_few_at_a_time(url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory at once is bounded in bytes, and not only in events."""
    monkeypatch.setattr(reading, "BYTES_PER_CHUNK", 100_000)
    big = [NewEvent(f"id-{n}", "Big", 1, (), b" " * 40_000) for n in range(300)]

    async def scenario() -> list[int]:
        store = MemoryStore()
        await store.write([Append(tuple(big))], 1)
        log = await Log.open(store, CLOCK)
        return [len(page) async for page in reading.events_of(log, 0, 300)]

    sizes = asyncio.run(scenario())
    assert sum(sizes) == 300
    assert set(sizes[1:-1]) == {2}


@pytest.mark.parametrize(
    ("source", "target", "error", "said"),
    [
        ("sqlite:///{}/log.db", "sqlite:///{}/log.db", SettingsError, "'sqlite:///{}/log.db' is the log itself."),
        (
            "sqlite:///{}/log.db",
            "sqlite:///{}/x/../log.db",
            SettingsError,
            "'sqlite:///{}/x/../log.db' is the log itself.",
        ),
        ("sqlite:///{}/none.db", "sqlite:///{}/copy.db", LogUnavailable, "{}/none.db: there is no such file."),
        ("sqlite:///{}/log.db", "memory:", SettingsError, "'memory:': what a service has in memory"),
        ("memory:", "sqlite:///{}/copy.db", SettingsError, "'memory:': what a service has in memory"),
        (
            "sqlite:///{}/log.db",
            "mysql://u:secret@x/y",
            SettingsError,
            "'mysql://u:***@x/y': 'mysql' is not one of memory:",
        ),
        (
            "sqlite:///{}/log.db",
            "sqlite://copy.db",
            SettingsError,
            "'sqlite://copy.db': a file is named after three slashes",
        ),
        ("sqlite:///{}/log.db", "copy.db", SettingsError, "'copy.db': it begins with none of memory:"),
    ],
)
def test_urls_that_cannot_be_meant_are_told(
    tmp_path: Path, source: str, target: str, error: type[TwofoldError], said: str
) -> None:
    """The text says what is wrong, and nothing is made."""
    filled(f"sqlite:///{tmp_path}/log.db")
    there = {each.name for each in tmp_path.iterdir()}
    with pytest.raises(error) as caught:
        asyncio.run(copy_log(source.format(tmp_path), target.format(tmp_path), nobody))
    assert said.format(tmp_path) in str(caught.value)
    assert {each.name for each in tmp_path.iterdir()} <= there | {"log.db-wal", "log.db-shm"}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("name", "damage", "error", "said"),
    [
        ("log.jsonl", Path.unlink, LogUnavailable, "log.jsonl: No such file or directory. Check its name"),
        ("log.jsonl", _cut, LogCorrupted, "log.jsonl, line 15: "),
        ("log.jsonl.gz", _cut, LogCorrupted, "log.jsonl.gz: it is damaged, or was cut short:"),
        (
            "log.jsonl.gz",
            lambda path: path.write_bytes(b"no"),
            LogCorrupted,
            "log.jsonl.gz: it is damaged, or was cut short:",
        ),
    ],
)
def test_a_file_that_is_not_what_it_was_is_told(
    url: Callable[[str], str],
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], Any],
    error: type[TwofoldError],
    said: str,
) -> None:
    """The text names the file; and what was imported of it is the beginning of the log, so another export goes on there."""
    was = filled(url("log"))
    file = tmp_path / name
    asyncio.run(export_log(url("log"), str(file), nobody))
    damage(file)
    with pytest.raises(error) as caught:
        asyncio.run(import_log(str(file), url("imported"), nobody))
    assert said in str(caught.value)
    asyncio.run(export_log(url("log"), str(file), nobody))
    assert asyncio.run(import_log(str(file), url("imported"), nobody)).events == len(was[0])
    assert what_is_at(url("imported")) == was


def test_importing_into_another_log_is_refused(url: Callable[[str], str], tmp_path: Path) -> None:
    """Neither what stands at the same positions is replaced, nor what goes beyond the file or is not in it overlooked."""
    filled(url("log"))
    file = str(tmp_path / "log.jsonl")
    asyncio.run(export_log(url("log"), file, nobody))
    append(url("other"), "other")
    with pytest.raises(LogDiverged, match="The log has the event other at position 1, where the Deposited 1 was to be"):
        asyncio.run(import_log(file, url("other"), nobody))
    asyncio.run(import_log(file, url("imported"), nobody))
    append(url("imported"), "new")
    with pytest.raises(
        LogDiverged, match=r"The log and the file differ: there are 7 events in the log.* and 6 in the file"
    ):
        asyncio.run(import_log(file, url("imported"), nobody))


def test_a_file_that_cannot_be_written_is_told_and_an_old_one_kept(url: Callable[[str], str], tmp_path: Path) -> None:
    """An export appears whole or not at all."""
    filled(url("log"))
    with pytest.raises(
        LogUnavailable, match=r"nowhere/log.jsonl: No such file or directory\. Check its name, its folder"
    ):
        asyncio.run(export_log(url("log"), str(tmp_path / "nowhere" / "log.jsonl"), nobody))
    file = tmp_path / "log.jsonl"
    file.write_text("old")
    changed(url("log"), "DELETE FROM events WHERE position = 2")
    with pytest.raises(LogCorrupted):
        asyncio.run(export_log(url("log"), str(file), nobody))
    assert file.read_text() == "old"
    assert {each.suffix for each in tmp_path.iterdir()} <= {".jsonl", ".db", ".db-wal", ".db-shm"}
