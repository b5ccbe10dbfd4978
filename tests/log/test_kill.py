"""What is left when processes are killed between and during commits."""

import asyncio
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from random import Random

from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.log import Log, Recorded

APPENDER = Path(__file__).parent / "appender.py"
ROUNDS = 4
PROCESSES = 2


def test_killed_writers_lose_nothing_acknowledged_and_show_nothing_halfway(tmp_path: Path) -> None:
    """Of each append, acknowledged or not, all events are there or none; of the acknowledged all, where they were said."""
    path = str(tmp_path / "log.db")
    random = Random(20101201)
    acknowledged: dict[str, tuple[int, int]] = {}
    for round_ in range(ROUNDS):
        writers = [
            subprocess.Popen([sys.executable, APPENDER, path, f"{round_}-{n}"], stdout=subprocess.PIPE, text=True)
            for n in range(PROCESSES)
        ]
        for writer in writers:
            assert writer.stdout is not None
            # Killed after so many answers: at a moment that depends on none of its own.
            lines = [writer.stdout.readline() for _ in range(random.randrange(1, 400))]
            writer.kill()
            lines += writer.stdout.readlines()
            writer.wait()
            writer.stdout.close()
            for append_id, first, last in [line.split() for line in lines if line.endswith("\n")]:
                acknowledged[append_id] = (int(first), int(last))
    stored: defaultdict[str, list[int]] = defaultdict(list)
    for event in asyncio.run(everything(path)):
        stored[event.tags[0].removeprefix("append:")].append(event.position)
    assert len(acknowledged) > ROUNDS * PROCESSES
    assert {append_id: list(range(*span(at))) for append_id, at in acknowledged.items()} == {
        append_id: stored[append_id] for append_id in acknowledged
    }
    assert all(len(positions) == 2 for positions in stored.values())
    assert sorted(position for positions in stored.values() for position in positions) == list(
        range(1, 2 * len(stored) + 1)
    )


def span(at: tuple[int, int]) -> tuple[int, int]:
    return at[0], at[1] + 1


async def everything(path: str) -> list[Recorded]:
    log = await Log.open(SqliteStore(path), SystemClock())
    try:
        return await log.read(limit=1_000_000)
    finally:
        await log.close()
