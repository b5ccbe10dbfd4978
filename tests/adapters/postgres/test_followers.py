"""Four processes follow a long log on PostgreSQL, and two of them are killed: what is then in the views, and what was seen."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from tests.adapters.postgres.counting_service import InOrder, Numbered, Written, counting
from twofold.cli.program import twofold
from twofold.clock import SystemClock
from twofold.followers import parking
from twofold.log import Log, NewEvent
from twofold.messages import encode, tagger
from twofold.operations.databases import opened
from twofold.service import Running, read_settings
from twofold.service.adapters import open_log

TARGET = "tests.adapters.postgres.counting_service:counting"
EVENTS = int(os.environ.get("TWOFOLD_TEST_EVENTS", "12000"))
KEYS = 200
PROCESSES = 4
PARTS = 12
KILLED_AFTER = (3, 7)
POISONED = ("k13", "k77")
CLOCK = SystemClock()


@contextmanager
def followers() -> Iterator[list["subprocess.Popen[bytes]"]]:
    command = [sys.executable, "-m", "twofold.cli", "run", TARGET, "--role", "followers", "--port", "0"]
    running = [subprocess.Popen([*command, "--log-level", "error"]) for _ in range(PROCESSES)]
    try:
        yield running
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait(30)


def events() -> list[Numbered]:
    """Number the events of each key, and spoil one of some in the middle."""
    counts = dict.fromkeys((f"k{n}" for n in range(KEYS)), 0)
    dice = Random(1)
    found = []
    for _ in range(EVENTS):
        key = f"k{dice.randrange(KEYS)}"
        counts[key] += 1
        poison = key in POISONED and counts[key] == EVENTS // KEYS // 2
        found.append(Numbered(key=key, number=counts[key], poison=poison))
    return found


async def prepare() -> None:
    """Have the service make its tables and the followers' places."""
    async with counting.run() as running:
        await until_followed(running)


async def append(numbered: list[Numbered]) -> None:
    log = await Log.open(open_log(read_settings("counting").log, CLOCK), CLOCK)
    tags = tagger(Numbered)
    await log.append([NewEvent(CLOCK.new_id(), "Numbered", 1, tags(each), encode(each)) for each in numbered])
    await log.close()


async def until_followed(running: Running) -> None:
    async with asyncio.timeout(60):
        while len(running.coordinator.followers()) < 2:
            await asyncio.sleep(0.01)


def positions() -> list[dict[str, Any]]:
    """Return what an operator sees."""
    ended = CliRunner().invoke(twofold, ["views", TARGET, "--json"], prog_name="twofold")
    assert ended.exit_code == 0, ended.output
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return found


def look_until(holds: Callable[[list[dict[str, Any]]], bool]) -> list[list[dict[str, Any]]]:
    """Look again and again until something holds of what is seen, and return all that was seen."""
    seen = [positions()]
    while not holds(seen[-1]):
        seen.append(positions())
    return seen


def kill_who_is_behind(seen: list[dict[str, Any]], running: list["subprocess.Popen[bytes]"]) -> None:
    """Kill the process that follows the segment with most events to come, whoever was killed before set aside."""
    alive = {each.pid: each for each in running if each.poll() is None}
    behind = max((each for each in seen if process_of(each) in alive), key=lambda each: each["lag"])
    victim = alive[process_of(behind)]
    victim.kill()
    victim.wait()


def process_of(position: dict[str, Any]) -> int:
    """Return the process that follows a segment, by the name that operators see: ``service/…/process@host``."""
    return int(position["followed_by"].partition("@")[0].rpartition("/")[2] or 0)


def test_four_followers_of_which_two_are_killed_do_everything_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row is right, none was written twice, what is parked is in order, and the lag was to be seen all the time."""
    for variable in ("TWOFOLD_LOG", "TWOFOLD_VIEWS"):
        monkeypatch.setenv(variable, f"{database}?schema=counting")
    numbered = events()
    asyncio.run(prepare())
    split = CliRunner().invoke(twofold, ["segments", "split", TARGET, "in_order_v1", "--into", "4"])
    assert split.exit_code == 0, split.output
    with followers() as running:
        seen = look_until(lambda found: len({process_of(each) for each in found} - {0}) == PROCESSES)
        for part in range(PARTS):
            asyncio.run(append(numbered[part * EVENTS // PARTS : (part + 1) * EVENTS // PARTS]))
            seen.append(positions())
            if part in KILLED_AFTER:
                kill_who_is_behind(seen[-1], running)
        seen += look_until(lambda found: all(each["position"] == EVENTS for each in found))
        assert sum(each.poll() is None for each in running) == PROCESSES - len(KILLED_AFTER)
    check_seen(seen)
    asyncio.run(check_rows(numbered))


def check_seen(seen: list[list[dict[str, Any]]]) -> None:
    """The lag is what a position lacks of the head, each segment is there each time, and none goes back."""
    for found in seen:
        assert [each["follower"] for each in found] == ["in_order_v1"] * 4 + ["writing_v1"]
        assert all(each["lag"] == each["head"] - each["position"] for each in found)
    for earlier, later in pairwise(seen):
        assert all(one["position"] <= other["position"] for one, other in zip(earlier, later, strict=True))
    # What a process that was killed leaves behind is to be seen, until another one has taken it over.
    assert max(each["lag"] for found in seen for each in found) >= EVENTS // PARTS


async def check_rows(numbered: list[Numbered]) -> None:
    """Count again what the views should have counted, and compare to the last event of each key."""
    keys: dict[str, list[tuple[int, Numbered]]] = {}
    for position, event in enumerate(numbered, 1):
        keys.setdefault(event.key, []).append((position, event))
    good = {key: [n for n, (_, event) in enumerate(found) if event.poison] for key, found in keys.items()}
    async with opened(counting.declaration, read_settings("counting")) as databases:
        views = databases.views
        rows = await views.select(select(InOrder.c.key.table))
        expected = {key: good[key][0] if good[key] else len(found) for key, found in keys.items()}
        assert {row.key: (row.last, row.times) for row in rows} == {key: (n, n) for key, n in expected.items()}
        written = await views.select(select(Written.c.key.table))
        assert {row.key: row.times for row in written} == {key: len(found) for key, found in keys.items()}
        parked = await parking.parked(views)
    for key in POISONED:
        assert [each.position for each in parked if each.key == f"key:{key}"] == [
            position for position, event in keys[key][good[key][0] :]
        ]
    assert {each.key for each in parked} == {f"key:{key}" for key in POISONED}
    assert [bool(each.error) for each in parked if each.key == "key:k13"].count(True) == 1
