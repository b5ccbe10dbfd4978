"""Several real processes on one file, and a reader that looks on."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.log import Log, RecordedEvent

CONTENDER = Path(__file__).parent / "contending_process.py"
SEATS = 25
PATIENCE_SECONDS = 120


def test_processes_that_compete_are_as_if_they_had_come_in_turn(tmp_path: Path) -> None:
    """Each seat is taken once though some look for its type and some for its tag, each id has one effect, no count is lost.

    Whoever follows meanwhile sees position after position, and none appears behind another.
    """
    path = str(tmp_path / "log.db")
    with (
        contender(path, "type") as first,
        contender(path, "tag") as second,
        contender(path, "tag") as third,
    ):
        contenders = [first, second, third]
        for each in contenders:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        events = asyncio.run(followed(path, contenders))
        said = [line.split() for each in contenders for line in each.stdout or ()]
    assert [each.returncode for each in contenders] == [0, 0, 0]
    assert [event.position for event in events] == list(range(1, len(events) + 1))

    taken = {event.type: event.position for event in events if event.type.startswith("Taken")}
    seats = {f"Taken{number}": int(first) for what, number, first, *_ in said if what == "seat"}
    assert len([line for line in said if line[0] == "seat"]) == SEATS
    assert taken == seats

    tickets = [(number, first, last) for what, number, first, last, _ in said if what == "ticket"]
    assert Counter(tickets).most_common() == [(ticket, 3) for ticket in dict.fromkeys(tickets)]
    assert Counter(repeated for what, *_, repeated in said if what == "ticket") == {"0": SEATS, "1": 2 * SEATS}
    assert len([event for event in events if event.type == "Sold"]) == 2 * SEATS

    assert [int(event.data) for event in events if event.type == "Counted"] == list(range(1, 3 * SEATS + 1))


def contender(path: str, described_by: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(CONTENDER), path, described_by, str(SEATS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def followed(path: str, contenders: "list[subprocess.Popen[str]]") -> list[RecordedEvent]:
    """Let the processes go, and return what a follower sees until there is all that they are to append."""
    log = await Log.open(SqliteStore(path), SystemClock())
    for each in contenders:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    seen: list[RecordedEvent] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for batch in log.follow(limit=10):
                seen += batch.events
                if len(seen) >= (1 + 2 + len(contenders)) * SEATS:
                    return seen
    finally:
        await log.close()
    return seen
