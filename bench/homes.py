"""The databases that contenders share: SQLite's files, or a PostgreSQL that is started here or named by URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from bench.model import Place
from tests.support.postgres import PostgresServer, running_server

_SETTINGS = ("shared_buffers=1GB", "max_wal_size=8GB", "max_connections=200")
_SHOWN = ("server_version", "fsync", "synchronous_commit", "wal_sync_method", "shared_buffers", "max_wal_size")


class Files:
    """SQLite, with a folder for each place."""

    durability = "disk (WAL, FULL)"
    described = {"sqlite": sqlite3.sqlite_version}

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Give an empty folder."""
        with TemporaryDirectory(prefix="twofold-bench-") as folder:
            yield Place(Path(folder), f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/views.db")


class Databases:
    """PostgreSQL, with a database for each place, which log and views share."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        columns = ", ".join(f"current_setting('{name}') AS {name}" for name in _SHOWN)
        shown = dict(server.execute(f"SELECT {columns}")[0])
        self.durability = f"disk (fsync {shown['fsync']}, sync {shown['synchronous_commit']})"
        self.described = {"postgresql": shown.pop("server_version"), **shown}

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Give an empty database, and an empty folder beside it for those who need one."""
        with TemporaryDirectory(prefix="twofold-bench-") as folder, self._server.database() as url:
            yield Place(Path(folder), url, url)


@contextmanager
def databases(url: str) -> Iterator[Databases]:
    """Start a server with room to work in, or take the one at the URL as it is, whose databases are then left as found."""
    if url:
        server = PostgresServer(urlsplit(url).geturl())
        try:
            yield Databases(server)
        finally:
            server.drop_databases()
    else:
        with running_server(*_SETTINGS) as server:
            yield Databases(server)
