"""Queries answered from a replica of the views' database: it is only read, and a receipt waits for what it has received."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest

from examples.bank import BalanceOf, Deposit, bank
from tests.support.postgres import PostgresServer
from twofold import Receipt
from twofold.errors import ReceiptTimeout
from twofold.service import Running, Settings


def test_queries_are_answered_from_a_replica_and_receipts_wait_for_it(own_server: PostgresServer) -> None:
    """While the replica is behind, the answer is late and not wrong; without a receipt it is that of the replica."""
    with own_server.database() as url, own_server.replica() as replica:
        primary = Settings(log=url, views=url)
        replicated = Settings(log=url, views=urlsplit(replica.url)._replace(path=urlsplit(url).path).geturl())

        async def scenario() -> None:
            async with AsyncExitStack() as stack:
                running = await stack.enter_async_context(bank.run(primary))
                await asyncio.to_thread(receive_everything, own_server, replica)
                reading = await stack.enter_async_context(bank.run(replicated, roles=["queries"]))
                assert await amount(reading, await deposited(running)) == 1
                await asyncio.to_thread(pause, replica)
                receipt = await deposited(running)
                with pytest.raises(ReceiptTimeout, match="balance_v1 is at position 1 and not yet at 2"):
                    await reading.ask(BalanceOf(account="ann"), after=receipt, timeout_seconds=0.2)
                assert await amount(reading, ()) == 1
                await asyncio.to_thread(replica.execute, "SELECT pg_wal_replay_resume()")
                assert await amount(reading, receipt) == 2

        asyncio.run(scenario())


def receive_everything(server: PostgresServer, replica: PostgresServer) -> None:
    (end,) = server.execute("SELECT pg_current_wal_lsn()::text")[0]
    while replica.execute(f"SELECT pg_last_wal_replay_lsn() < '{end}'")[0][0]:
        pass


def pause(replica: PostgresServer) -> None:
    replica.execute("SELECT pg_wal_replay_pause()")
    while replica.execute("SELECT pg_get_wal_replay_pause_state()")[0][0] != "paused":
        pass


async def deposited(running: Running) -> Receipt:
    """Deposit something, and return when the primary's view has it."""
    receipt = await running.send(Deposit(account="ann", amount=1))
    await running.ask(BalanceOf(account="ann"), after=receipt, timeout_seconds=30)
    return receipt


async def amount(reading: Running, after: Receipt | tuple[()]) -> int:
    balance = await reading.ask(BalanceOf(account="ann"), after=after, timeout_seconds=30)
    assert balance is not None
    return balance.amount
