"""Several operating-system processes append to one log while they, their connections and the server are killed."""

import asyncio
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from twofold.adapters.postgres import PostgresStore
from twofold.clock import SystemClock
from twofold.log import Log, RecordedEvent

CALLERS = 8
APPENDS = 100


class Appender:
    """A process that appends, and the file into which it writes what was acknowledged."""

    def __init__(self, url: str, name: str, folder: Path) -> None:
        self.name = name
        self._file = folder / name
        with self._file.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.adapters.postgres.appending_process",
                    url,
                    name,
                    str(CALLERS),
                    str(APPENDS),
                ],
                stdout=output,
            )

    def acknowledged(self) -> dict[int, str]:
        """Return the events that were acknowledged by their positions; a line that a kill cut short is not one."""
        lines = self._file.read_text().splitlines(keepends=True)
        whole = [line.split() for line in lines if line.endswith("\n")]
        return {int(position): id_ for position, id_ in whole}


@contextmanager
def appenders(url: str, names: Sequence[str], folder: Path) -> Iterator[list[Appender]]:
    running = [Appender(url, name, folder) for name in names]
    try:
        yield running
    finally:
        for each in running:
            each.process.kill()
            each.process.wait()


async def everything(url: str) -> list[RecordedEvent]:
    """Return the whole log; reading it checks that positions have no gap."""
    log = await Log.open(PostgresStore(url), SystemClock())
    try:
        return await log.read(limit=1_000_000)
    finally:
        await log.close()


def check(stored: Sequence[RecordedEvent], finished: Sequence[Appender], killed: Sequence[Appender]) -> None:
    """Account for every event."""
    ids = Counter(event.id for event in stored)
    assert [id_ for id_, times in ids.items() if times > 1] == []
    for appender in (*finished, *killed):
        for position, id_ in appender.acknowledged().items():
            assert stored[position - 1].id == id_
    for appender in finished:
        assert (
            sum(id_.startswith(f"{appender.name}.") for id_ in ids) == len(appender.acknowledged()) == CALLERS * APPENDS
        )
    for appender in killed:
        # What was under way in the moment of the kill may have been stored: one append of each caller.
        unheard = sum(id_.startswith(f"{appender.name}.") for id_ in ids) - len(appender.acknowledged())
        assert 0 <= unheard <= CALLERS
    counted = defaultdict(list)
    for event in stored:
        counted[event.tags[0]].append(int(event.data))
    for numbers in counted.values():
        assert numbers == list(range(len(numbers)))


def until_stored(server: PostgresServer, url: str, events: int) -> None:
    """Return when the log has so many events."""
    statement = "SELECT count(*) FROM pg_class WHERE relname = 'log_events'"
    while server.execute(statement, url)[0][0] == 0:
        pass
    while server.execute("SELECT coalesce(max(position), 0) FROM twofold.log_events", url)[0][0] < events:
        pass


def test_processes_killed_in_the_middle_leave_a_log_that_adds_up(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """Acknowledged is stored, once each; conditions held across processes; the others go on as if nothing were."""
    with appenders(database, ["a", "b", "c", "d"], tmp_path) as running:
        for number, victim in enumerate(running[:2], 1):
            until_stored(server, database, number * 150)
            victim.process.kill()
        for survivor in running[2:]:
            assert survivor.process.wait() == 0
        check(asyncio.run(everything(database)), running[2:], running[:2])


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_processes_live_through_terminated_connections_and_the_servers_own_end(
    own_server: PostgresServer, tmp_path: Path, end: str
) -> None:
    """Three processes lose their connections, then the server twice, and each finishes what it was asked to do."""
    with own_server.database() as url, appenders(url, ["a", "b", "c"], tmp_path) as running:
        for round_ in range(1, 3):
            until_stored(own_server, url, round_ * 200)
            name = url.rpartition("/")[2]
            own_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            until_stored(own_server, url, round_ * 200 + 100)
            getattr(own_server, end)()
            own_server.start()
        for appender in running:
            assert appender.process.wait() == 0
        check(asyncio.run(everything(url)), running, [])


def test_a_reader_beside_them_never_sees_a_position_before_an_earlier_one(database: str, tmp_path: Path) -> None:
    """Following from the first event meets each position in its turn, while four processes append at once."""

    async def follow(running: Sequence[Appender]) -> None:
        log = await Log.open(PostgresStore(database), SystemClock())
        async for batch in log.follow(limit=7):
            if batch.position == len(running) * CALLERS * APPENDS:
                break
        await log.close()

    with appenders(database, ["a", "b", "c", "d"], tmp_path) as running:
        asyncio.run(follow(running))
        for appender in running:
            assert appender.process.wait() == 0
