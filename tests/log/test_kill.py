"""What is left when processes are killed between and during commits."""

import asyncio
import subprocess
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import chain
from pathlib import Path
from random import Random
from typing import TypeVar

from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.log import Appended, Criterion, Log, RecordedEvent

T = TypeVar("T")

APPENDER = Path(__file__).parent / "appending_process.py"
ROUNDS = 6


def test_killed_writers_lose_nothing_acknowledged_and_show_nothing_halfway(tmp_path: Path) -> None:
    """Of each append, acknowledged or not, all events are there or none; of the acknowledged all, where they were said."""
    path = tmp_path / "log.db"
    random = Random(20101201)
    acknowledged: dict[str, tuple[int, int]] = {}
    for round_ in range(ROUNDS):
        acknowledged |= killed(path, [f"{round_}-0", f"{round_}-1"], random.randrange(1, 400))
    stored: defaultdict[str, list[int]] = defaultdict(list)
    for event in run(path, everything):
        stored[event.tags[0].removeprefix("append:")].append(event.position)
    assert acknowledged.items() <= {append_id: (at[0], at[-1]) for append_id, at in stored.items()}.items()
    assert all(len(positions) == 2 for positions in stored.values())
    assert sorted(chain.from_iterable(stored.values())) == list(range(1, 2 * len(stored) + 1))


def test_what_belongs_to_an_append_is_there_with_it(tmp_path: Path) -> None:
    """Of an append that was cut short, neither its id is known nor its tags are found; of any other, both."""
    path = tmp_path / "log.db"
    killed(path, ["only"], 300)

    async def check(log: Log) -> None:
        stored = {event.tags[0]: event.position for event in await everything(log)}
        turns = range(3 + max(int(tag.rpartition("-")[2]) for tag in stored))
        for append_id in [f"only-{caller}-{turn}" for caller in range(8) for turn in turns]:
            last = stored.get(f"append:{append_id}")
            found = await log.read((Criterion(tags=(f"append:{append_id}",)),))
            assert [event.position for event in found] == ([] if last is None else [last - 1, last])
            again = await log.append([], id=append_id)
            assert isinstance(again, Appended)
            assert again.repeated == (last is not None)
            assert not again.repeated or again.last == last

    run(path, check)


def killed(path: Path, names: list[str], answers: int) -> dict[str, tuple[int, int]]:
    """Have processes append until the first has said so many answers, kill all, and return what they acknowledged.

    They never pause, so the moment lies anywhere between and within their commits.
    """
    appenders = [
        subprocess.Popen([sys.executable, APPENDER, path, name], stdout=subprocess.PIPE, text=True) for name in names
    ]
    said: list[str] = []
    for place, each in enumerate(appenders):
        assert each.stdout is not None
        said += [each.stdout.readline() for _ in range(1 if place else answers)]
    for each in appenders:
        each.kill()
    for each in appenders:
        with each:
            said += each.stdout or ()
    # A last line may have been cut short, too: nobody could have taken it for an answer.
    lines = [line.split() for line in said if line.endswith("\n")]
    assert len(lines) >= answers
    return {append_id: (int(first), int(last)) for append_id, first, last in lines}


def run(path: Path, scenario: Callable[[Log], Awaitable[T]]) -> T:
    async def whole() -> T:
        log = await Log.open(SqliteStore(str(path)), SystemClock())
        try:
            return await scenario(log)
        finally:
            await log.close()

    return asyncio.run(whole())


async def everything(log: Log) -> list[RecordedEvent]:
    return await log.read(limit=1_000_000)
