"""Behind PgBouncer in transaction mode, where each statement may meet another server process."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Self
from urllib.parse import urlsplit

import pytest

from twofold import (
    Aggregate,
    Command,
    Event,
    Query,
    Service,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    replace,
)
from twofold.adapters.postgres import PostgresStore
from twofold.clock import SystemClock
from twofold.log import Appended, Criterion, Guard, Log, NewEvent
from twofold.service.settings import Settings

AccountId = Annotated[str, Tag("account")]


class Deposit(Command):
    account: AccountId
    amount: int


class Deposited(Event):
    account: AccountId
    amount: int


class Account(Aggregate, key=AccountId):
    @decide
    def deposit(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited(account=command.account, amount=command.amount)

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return self


class Balance(View, key=AccountId):
    amount: int = 0

    @evolve
    def deposited(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + event.amount)


class FindRich(Query[list[Balance]]):
    minimum: int


@answer
async def rich(query: FindRich, views: Views) -> list[Balance]:
    return (await views.find(Balance, Balance.c.amount >= query.minimum, order_by=Balance.c.key)).rows


bank = Service("bank", aggregates=[Account], views=[Balance], queries=[rich])

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Run PgBouncer before the server, with two server processes for all clients, and give its URL."""
    assert PGBOUNCER is not None
    target = urlsplit(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory(prefix="twofold-pgbouncer-") as folder:
        # As root it runs as somebody else, who must be able to read this.
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        Path(folder).chmod(0o755)
        settings = Path(folder, "pgbouncer.ini")
        settings.write_text(f"""
[databases]
* = host={target.hostname} port={target.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
""")
        process = subprocess.Popen([PGBOUNCER, "-q", str(settings)], stderr=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
        try:
            yield target._replace(netloc=f"postgres@127.0.0.1:{port}").geturl()
        finally:
            process.terminate()
            process.wait()


needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed: apt-get install pgbouncer")


@needs_pgbouncer
def test_the_log_keeps_its_word_behind_pgbouncer_if_that_is_installed(database: str) -> None:
    """Nothing counts on a session: conditions hold, reads find what was appended, and waiting falls back to its timeout."""

    async def caller(log: Log, name: str) -> None:
        criteria = (Criterion(tags=(f"account:{name}",)),)
        last = 0
        for number in range(20):
            event = NewEvent(f"{name}-{number}", "Deposited", 1, (f"account:{name}",), b"{}")
            outcome = await log.append([event], Guard(criteria, last))
            assert isinstance(outcome, Appended)
            last = outcome.last
            assert [each.id for each in await log.read(criteria, last - 1)] == [event.id]

    async def scenario(url: str) -> None:
        logs = [await Log.open(PostgresStore(url), SystemClock()) for _ in range(3)]
        await asyncio.gather(*(caller(log, f"{place}-{each}") for place, log in enumerate(logs) for each in range(8)))
        assert await logs[0].head() == 3 * 8 * 20
        await logs[0].store.changed(0.01)
        for log in logs:
            await log.close()

    with pooled(database) as url:
        asyncio.run(scenario(url))


@needs_pgbouncer
def test_two_instances_of_a_service_work_behind_pgbouncer_if_that_is_installed(database: str) -> None:
    """Log, followers, views and questions: each command's effect is seen by a question put to either instance."""

    async def scenario(url: str) -> None:
        settings = Settings(log=url, views=url)
        async with bank.run(settings) as one, bank.run(settings) as other:

            async def caller(name: str) -> None:
                for amount in range(1, 6):
                    receipt = await one.send(Deposit(account=name, amount=1))
                    found = await other.ask(FindRich(minimum=amount), after=receipt, timeout_seconds=60)
                    assert Balance(key=name, amount=amount) in found

            await asyncio.gather(*(caller(f"{number}") for number in range(6)))

    with pooled(database) as url:
        asyncio.run(scenario(url))
