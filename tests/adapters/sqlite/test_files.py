"""What the log does when its file is taken away, damaged or closed under it."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.waiting import until
from twofold.adapters.sqlite import SqliteStore
from twofold.adapters.sqlite.database import Connection
from twofold.adapters.sqlite.log import _write
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable
from twofold.log import ALL, Append, Appended, Criterion, Log, LogStore, NewEvent, ProcessedId, Reused

NOBODY = 65534
EVENT = NewEvent("an-id", "A", 1, ("x:1",), b"{}" * 1000)


def run(path: Path, scenario: Callable[[Log], Awaitable[None]]) -> None:
    async def whole() -> None:
        log = await Log.open(SqliteStore(str(path)), SystemClock())
        try:
            await scenario(log)
        finally:
            await log.close()

    asyncio.run(whole())


def fill(path: Path, events: int = 50) -> None:
    async def scenario(log: Log) -> None:
        await log.append([EVENT] * events)

    run(path, scenario)


def deleted(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("backup.db"))
    path.with_name("backup.db").replace(path)


@pytest.mark.parametrize("happens", [deleted, moved, replaced])
def test_a_file_that_is_taken_away_is_written_to_no_more(tmp_path: Path, happens: Callable[[Path], None]) -> None:
    """SQLite would go on in a file without a name, and what was acknowledged would end with the process."""
    path = tmp_path / "log.db"

    async def scenario(log: Log) -> None:
        await log.append([EVENT])
        happens(path)
        for _ in range(2):
            with pytest.raises(
                LogUnavailable,
                match=r"log\.db: the file, or its journal .* moved, deleted or replaced.*put the file back",
            ):
                await log.append([EVENT])
        with pytest.raises(LogUnavailable, match="moved, deleted or replaced"):
            await log.read(ALL)

    run(path, scenario)


def without(ending: str) -> Callable[[Path], None]:
    return lambda path: Path(f"{path}{ending}").unlink()


def with_another(ending: str) -> Callable[[Path], None]:
    def happens(path: Path) -> None:
        other = path.with_name("other")
        other.write_bytes(Path(f"{path}{ending}").read_bytes())
        other.replace(f"{path}{ending}")

    return happens


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
@pytest.mark.parametrize("change", [without, with_another])
def test_a_journal_that_is_taken_away_is_noticed_like_the_file(
    tmp_path: Path, change: Callable[[str], Callable[[Path], None]], ending: str
) -> None:
    """What is committed is in the journal first: where that has no name, it is gone with the process, too."""
    path = tmp_path / "log.db"

    async def scenario(log: Log) -> None:
        await log.append([EVENT])
        change(ending)(path)
        for _ in range(2):
            with pytest.raises(LogUnavailable, match=r"log\.db: .* its journal .* Nothing of this batch was stored"):
                await log.append([EVENT])

    run(path, scenario)


def rest(folder: Path) -> None:
    """Let nothing have happened in a folder for a while."""
    long_ago_ns = time.time_ns() - 3_600_000_000_123
    os.utime(folder, ns=(long_ago_ns, long_ago_ns))


TAKEN_AWAY = [
    deleted,
    moved,
    replaced,
    *[change(ending) for change in (without, with_another) for ending in ("-wal", "-shm")],
]


@pytest.mark.parametrize("happens", TAKEN_AWAY)
@pytest.mark.parametrize("is_disturbed", [False, True])
def test_what_is_taken_from_a_folder_that_was_at_rest_is_noticed(
    tmp_path: Path, happens: Callable[[Path], None], is_disturbed: bool
) -> None:
    """While a folder's time stands still it alone is looked at; anything that happens in it has each file looked at."""
    path = tmp_path / "log.db"

    async def scenario(log: Log) -> None:
        rest(tmp_path)
        await log.append([EVENT])
        if is_disturbed:
            (tmp_path / "other").touch()
            await log.append([EVENT])
        happens(path)
        for _ in range(2):
            with pytest.raises(LogUnavailable, match="Nothing of this batch was stored"):
                await log.append([EVENT])

    run(path, scenario)


def test_a_folder_that_takes_another_one_s_place_is_noticed(tmp_path: Path) -> None:
    """A copy may have the folder's own time."""
    folder = tmp_path / "data"
    folder.mkdir()

    async def scenario(log: Log) -> None:
        rest(folder)
        await log.append([EVENT])
        folder.rename(tmp_path / "elsewhere")
        shutil.copytree(tmp_path / "elsewhere", folder)
        with pytest.raises(LogUnavailable, match="Nothing of this batch was stored"):
            await log.append([EVENT])

    run(folder / "log.db", scenario)


def test_a_folder_whose_time_is_in_whole_seconds_says_nothing(tmp_path: Path) -> None:
    """Some file systems keep no more of it, and the next change may have the same one."""
    path = tmp_path / "log.db"
    second_ns = int(time.time() - 3600) * 1_000_000_000

    async def scenario(log: Log) -> None:
        os.utime(tmp_path, ns=(second_ns, second_ns))
        await log.append([EVENT])
        moved(path)
        os.utime(tmp_path, ns=(second_ns, second_ns))
        with pytest.raises(LogUnavailable, match="Nothing of this batch was stored"):
            await log.append([EVENT])

    run(path, scenario)


def test_what_is_taken_from_behind_a_link_is_noticed(tmp_path: Path) -> None:
    """What counts is the folder of the file, and not that of the link."""
    (tmp_path / "disk").mkdir()
    path, real = tmp_path / "log.db", tmp_path / "disk" / "log.db"
    path.symlink_to(real)

    async def scenario(log: Log) -> None:
        rest(tmp_path)
        rest(real.parent)
        await log.append([EVENT])
        moved(real)
        with pytest.raises(LogUnavailable, match="Nothing of this batch was stored"):
            await log.append([EVENT])

    run(path, scenario)


@pytest.mark.parametrize("left", [b"", b"something else, and longer than what a journal begins with"])
def test_a_journal_that_is_emptied_is_noticed_before_anything_more_is_acknowledged(tmp_path: Path, left: bytes) -> None:
    """SQLite goes on where it was, behind a hole, and whoever opens the file later finds nothing of it."""
    path = tmp_path / "log.db"

    async def scenario(log: Log) -> None:
        await log.append([EVENT])
        (path.parent / "log.db-wal").write_bytes(left)
        with pytest.raises(LogUnavailable, match="Whether this batch was stored is not known"):
            await log.append([EVENT])
        with pytest.raises(LogUnavailable, match=r"or emptied\. Nothing of this batch was stored"):
            await log.append([EVENT])

    run(path, scenario)


def test_a_journal_that_another_process_has_given_back_is_in_order(tmp_path: Path) -> None:
    """It is empty, and begins anew with the next transaction."""
    path = tmp_path / "log.db"

    async def scenario(log: Log) -> None:
        for _ in range(3):
            await log.append([EVENT])
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
            assert (path.parent / "log.db-wal").stat().st_size == 0
        assert await log.head() == 3

    run(path, scenario)


def test_a_journal_that_goes_during_a_commit_is_not_acknowledged(tmp_path: Path) -> None:
    """It was there when the transaction began, and the text says that nobody knows what is left of it."""
    path = tmp_path / "log.db"

    async def scenario() -> None:
        store = SqliteStore(str(path))
        await store.open()
        try:
            with pytest.raises(LogUnavailable, match=r"Whether this batch was stored is not known\. Stop the service"):
                # It is called when all is done but the commit.
                await store._writing.run(
                    partial(_write, [Append((EVENT,))], 0, lambda: without("-wal")(path)),
                )
        finally:
            await store.close()

    asyncio.run(scenario())


def test_a_folder_that_becomes_something_else_during_a_commit_is_told_to_whoever_waits(tmp_path: Path) -> None:
    """Whatever stands in the way to the files: nobody waits for ever for what became of it."""
    folder = tmp_path / "data"
    path = folder / "log.db"

    def other_folder() -> None:
        folder.rename(tmp_path / "elsewhere")
        folder.write_text("a file")

    async def scenario() -> None:
        store = SqliteStore(str(path))
        await store.open()
        try:
            with pytest.raises(LogUnavailable, match=r"Whether this batch was stored is not known\. Stop the service"):
                async with asyncio.timeout(10):
                    await store._writing.run(partial(_write, [Append((EVENT,))], 0, other_folder))
        finally:
            await store.close()

    asyncio.run(scenario())


def test_what_is_still_to_be_done_when_the_loop_has_ended_is_left(tmp_path: Path) -> None:
    """Nobody hears of it any more, and each piece of work may wait for the file's lock before the process can end."""
    begun, goes_on = threading.Event(), threading.Event()
    late: list[str] = []
    connection = Connection(str(tmp_path / "log.db"), durable=True)

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        goes_on.wait()

    async def scenario() -> None:
        first = asyncio.create_task(connection.run(lambda _: None))
        others = [asyncio.create_task(connection.run(work)) for work in (hold, lambda _: late.append("done"))]
        await first
        # The other two are with the thread now, together.
        await asyncio.to_thread(begun.wait)
        for each in others:
            each.cancel()

    asyncio.run(scenario())
    goes_on.set()
    connection._thread.shutdown()
    assert late == []


def test_a_close_that_is_given_up_is_done_when_the_thread_comes_to_it(tmp_path: Path) -> None:
    """Whoever embeds a service goes on, and is left with neither the connection nor the thread."""
    begun, goes_on = threading.Event(), threading.Event()
    connection = Connection(str(tmp_path / "log.db"), durable=True)

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        goes_on.wait()

    async def scenario() -> None:
        busy = asyncio.create_task(connection.run(hold))
        await asyncio.to_thread(begun.wait)
        closing = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        goes_on.set()
        await busy
        await until(has_ended)

    async def has_ended() -> bool:
        return connection._connection is None and not any(each.is_alive() for each in connection._thread._threads)

    asyncio.run(scenario())


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_journal_that_a_long_reader_made_large_is_given_back(tmp_path: Path, goes_on: bool) -> None:
    """Soon after the reader has ended, whether there is more to write or not."""
    path, journal = tmp_path / "log.db", tmp_path / "log.db-wal"
    large = NewEvent("an-id", "A", 1, ("x:1",), b"0" * (4 << 20))

    async def scenario(log: Log) -> None:
        await log.append([EVENT])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        while journal.stat().st_size < 32 << 20:
            await log.append([large])
        reader.close()
        while journal.stat().st_size > 16 << 20:
            if goes_on:
                await log.append([EVENT])
            await asyncio.sleep(0.01)
        assert len(await log.read(ALL)) == await log.head()

    run(path, scenario)


def test_who_only_looks_may_be_there_before_the_service(tmp_path: Path) -> None:
    """A journal that comes is not one that was taken away."""
    path = tmp_path / "log.db"

    async def scenario() -> None:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 1")
        connection.close()
        looking = Connection(str(path), durable=True)
        looking.read_only = True
        assert await looking.run(lambda each: each.execute("PRAGMA user_version").fetchone()) == (1,)
        working = Connection(str(path), durable=True)
        await working.run(lambda each: each.execute("PRAGMA user_version = 2").fetchone())
        assert await looking.run(lambda each: each.execute("PRAGMA user_version").fetchone()) == (2,)
        await looking.close()
        await working.close()

    asyncio.run(scenario())


def test_a_file_that_is_put_back_is_used_again(tmp_path: Path) -> None:
    """Nothing was lost meanwhile, and nothing is different."""
    path = tmp_path / "log.db"

    async def scenario(log: Log) -> None:
        await log.append([EVENT])
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(LogUnavailable):
            await log.append([EVENT])
        (tmp_path / "elsewhere.db").rename(path)
        assert await log.append([EVENT]) == Appended(2, 2)

    run(path, scenario)


def scribbled_on(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\x55" * 20 * 4096)


def cut_off(path: Path) -> None:
    os.truncate(path, 4 * 4096)


def made_another(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says" * 100)


@pytest.mark.parametrize("happens", [scribbled_on, cut_off, made_another])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, happens: Callable[[Path], None]) -> None:
    """No position is skipped, no event made up, and nothing more written."""
    path = tmp_path / "log.db"
    fill(path)
    happens(path)
    before = path.read_bytes()

    async def scenario(log: Log) -> None:
        await log.read()

    with pytest.raises(
        LogUnavailable, match=r"log\.db: .*It is damaged, or not the file that you mean\. .* from a backup"
    ):
        run(path, scenario)
    assert path.read_bytes() == before


@contextmanager
def somebody() -> Iterator[None]:
    """Be a user who may not write everywhere: root is held up by nothing."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def anybody_s_folder() -> Iterator[Path]:
    """Give a folder of which no parent is closed to other users."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_file_that_may_not_be_written_to_is_named_with_what_to_do(anybody_s_folder: Path) -> None:
    """The operator learns that it is about rights, and of which files."""
    path = anybody_s_folder / "log.db"
    fill(path)
    path.chmod(0o444)
    with (
        somebody(),
        pytest.raises(LogUnavailable, match=r"log\.db: .*readonly.* Let this user write to the file, its folder"),
    ):
        fill(path)


def test_a_folder_that_may_not_be_written_to_is_named_with_what_to_do(anybody_s_folder: Path) -> None:
    """The file cannot even be made."""
    anybody_s_folder.chmod(0o555)
    with somebody(), pytest.raises(LogUnavailable, match=r"log\.db: unable to open.* this user may write to it"):
        fill(anybody_s_folder / "log.db")


def test_a_full_disk_costs_only_what_it_has_no_room_for(tmp_path: Path) -> None:
    """A commit that does not fit leaves nothing, half of it neither; smaller ones go on, and that one once there is room."""

    async def scenario(log: Log) -> None:
        await log.append([EVENT])
        await limit_pages(log.store, 60)
        with pytest.raises(
            LogUnavailable, match=r"log\.db: .*full.* Nothing of this batch was stored\. .*disk's space"
        ):
            await log.append([EVENT] * 200, id="large")
        assert await log.append([EVENT]) == Appended(2, 2)
        await limit_pages(log.store, 1_000_000)
        assert await log.append([EVENT] * 200, id="large") == Appended(3, 202)
        assert [event.position for event in await log.read((Criterion(tags=("x:1",)),))] == list(range(1, 203))

    run(tmp_path / "log.db", scenario)


async def limit_pages(store: LogStore, pages: int) -> None:
    assert isinstance(store, SqliteStore)
    await store._writing.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").close())


def test_what_was_asked_for_is_answered_before_the_file_is_closed(tmp_path: Path) -> None:
    """And what is asked for afterwards is refused at once, where it would never be answered."""

    async def scenario() -> None:
        store = SqliteStore(str(tmp_path / "log.db"))
        log = await Log.open(store, SystemClock())
        await log.append([EVENT] * 1000)
        reading = [asyncio.ensure_future(store.read(ALL)) for _ in range(20)]
        await asyncio.sleep(0)
        await log.close()
        assert [len(await each) for each in reading] == [1000] * 20
        for asked in (store.read(ALL), store.head(), store.write([], 0)):
            with pytest.raises(LogUnavailable, match=r"log\.db is closed"):
                await asked
        await log.close()

    asyncio.run(scenario())


def test_callers_that_went_away_take_nothing_from_the_others(tmp_path: Path) -> None:
    """The thread does what it was asked for, whoever still waits for it."""

    async def scenario(log: Log) -> None:
        await log.append([EVENT] * 10)
        reading = [asyncio.ensure_future(log.read()) for _ in range(20)]
        await asyncio.sleep(0)
        for each in reading[::2]:
            each.cancel()
        assert [len(await each) for each in reading[1::2]] == [10] * 10

    run(tmp_path / "log.db", scenario)


def test_a_log_may_lie_under_any_name(tmp_path: Path) -> None:
    """Spaces, quotes and signs that mean something in a URL are just characters here, for looking at it, too."""
    path = tmp_path / "Ann's 100% ?new#log;.db"
    fill(path)

    async def look() -> int:
        log = await Log.open(SqliteStore(str(path)), SystemClock(), read_only=True)
        try:
            return len(await log.read())
        finally:
            await log.close()

    assert asyncio.run(look()) == 50


def test_a_file_of_the_version_before_is_read_as_it_is_and_upgraded(tmp_path: Path) -> None:
    """Looking at it changes nothing; what a service of that version adds meanwhile stands for any content."""
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(files("twofold.adapters.sqlite").joinpath("log_0001.sql").read_text(encoding="utf-8"))
        old.executescript("PRAGMA user_version = 1; INSERT INTO handled (id, first, last) VALUES ('first', 1, 0);")

        async def look() -> None:
            store = SqliteStore(str(path))
            await store.open(read_only=True)
            assert await store.processed("first") == ProcessedId("first", 1, 0)
            assert await store.read_processed(0, 1, limit=1) == [ProcessedId("first", 1, 0)]
            await store.close()

        async def scenario(log: Log) -> None:
            old.execute("INSERT INTO handled (id, first, last) VALUES ('second', 1, 0)")
            old.commit()
            for id in ("first", "second"):
                assert await log.append([EVENT], id=id, digest=b"one") == Appended(1, 0, repeated=True)
            assert await log.append([EVENT], id="third", digest=b"one") == Appended(1, 1)
            assert await log.append([EVENT], id="third", digest=b"other") == Reused(1, 1)

        asyncio.run(look())
        run(path, scenario)
        asyncio.run(look())
