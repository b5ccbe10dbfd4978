"""The files of a SQLite database, and whether they are still those that were opened."""

from __future__ import annotations

import os
import time
from typing import TypeAlias

MEMORY = ":memory:"

_Identity: TypeAlias = tuple[int, int] | None

_JOURNAL_BEGINS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""The first bytes of a journal that has anything in it (https://sqlite.org/fileformat2.html#walformat)."""

_TICK_NS = 100_000_000
"""Longer than the time in which a file system may give two changes of a folder the same time, unless it has whole seconds."""

_SECOND_NS = 1_000_000_000


class Files:
    """The main file, its journal and the journal's index.

    SQLite would not mind if they went: it would go on in files without a name, which are gone with the process. So they are
    looked for again and again: by one look at their folder, whose time changes when anything in it is made, moved or removed.
    """

    def __init__(self, path: str) -> None:
        # SQLite follows links, and has the journal beside the file that it finds.
        self._path = path if path == MEMORY else os.path.realpath(path)
        self._folder = os.path.dirname(self._path)  # noqa: PTH120 -- See `_status`.
        self._at_rest: tuple[int, int, int] | None = None
        self._identities: tuple[_Identity, ...] = ()
        self._is_emptied = False

    def note(self) -> None:
        """Take note of the files that are there now."""
        self._identities = self._look()
        self._at_rest = None

    def are_lost(self) -> bool:
        """Say whether one of the files was moved, removed or replaced since they were noted."""
        if self._path == MEMORY or self._is_emptied:
            return self._is_emptied
        folder = _status(self._folder)
        # A folder that was put in the place of another one may have its time.
        seen = folder and (folder.st_dev, folder.st_ino, folder.st_mtime_ns)
        if seen is not None and seen == self._at_rest:
            return False
        found = self._look()
        if any(was and was != now for was, now in zip(self._identities, found, strict=True)):
            return True
        # Whoever only looks may have been there before a service made the journal.
        self._identities = found
        self._at_rest = seen if folder is not None and _is_at_rest(folder) else None
        return False

    def have_lost(self) -> bool:
        """Say, after something was stored, whether it went to files that are lost, or to a journal that somebody had emptied.

        SQLite goes on writing where it was. What it writes then is behind a hole, in which nobody finds it any more.
        """
        self._is_emptied = self._is_emptied or self._journal_begins() not in (b"", *_JOURNAL_BEGINS)
        return self.are_lost()

    def _journal_begins(self) -> bytes:
        """Return the first bytes of the journal, and '' where there is nothing in it, as whoever empties it leaves it."""
        if self._path == MEMORY:
            return b""
        try:
            journal = os.open(f"{self._path}-wal", os.O_RDONLY)
        except OSError:
            return b""
        try:
            return os.read(journal, 4)
        finally:
            # SQLite has no lock on this one of its files, which closing it here would give up.
            os.close(journal)

    def journal_bytes(self) -> int:
        """Return how large the journal is."""
        journal = None if self._path == MEMORY else _status(f"{self._path}-wal")
        return journal.st_size if journal else 0

    def _look(self) -> tuple[_Identity, ...]:
        if self._path == MEMORY:
            return ()
        return tuple(_identity(_status(self._path + suffix)) for suffix in ("", "-wal", "-shm"))


def _status(path: str) -> os.stat_result | None:
    """Return what is known of a file, None if it cannot be found: what is in the way to it makes no difference.

    It is asked before all work, and a path object takes longer than the answer.
    """
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError:
        return None


def _is_at_rest(folder: os.stat_result) -> bool:
    """Say whether the next change of a folder will have another time than the last one."""
    return time.time_ns() - folder.st_mtime_ns > _TICK_NS and folder.st_mtime_ns % _SECOND_NS != 0


def _identity(status: os.stat_result | None) -> _Identity:
    return (status.st_dev, status.st_ino) if status else None
