"""Queries answered from a replica of the views' database: it is only read, and a receipt waits for what it has received."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from urllib.parse import urlsplit

import pytest

from examples.bank import Balance, BalanceOf, Deposit, bank
from tests.support.postgres import PostgresServer
from twofold import Receipt
from twofold.errors import ReceiptTimeout
from twofold.service import Running, Settings, Update


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


def test_who_watches_at_a_replica_is_told_what_it_has_and_nothing_older(own_server: PostgresServer) -> None:
    """Who comes from the primary, and knows more than the replica has, waits, and hears of the next change."""
    with own_server.database() as url, own_server.replica() as replica:
        primary = Settings(log=url, views=url)
        replicated = Settings(log=url, views=urlsplit(replica.url)._replace(path=urlsplit(url).path).geturl())

        async def scenario() -> None:
            async with bank.run(primary) as running:
                await deposited(running)
                await asyncio.to_thread(receive_everything, own_server, replica)
                async with (
                    bank.run(replicated, roles=["queries"]) as reading,
                    aclosing(reading.watch(BalanceOf(account="ann"))) as updates,
                ):
                    assert told(await anext(updates)) == 1
                    await asyncio.to_thread(pause, replica)
                    receipt = await deposited(running)
                    async with aclosing(running.watch(BalanceOf(account="ann"), after=receipt)) as elsewhere:
                        seen = await anext(elsewhere)
                    with await reading.subscribe(BalanceOf(account="ann"), since=seen.id) as subscription:
                        waiting = asyncio.ensure_future(subscription.next())
                        await asyncio.to_thread(replica.execute, "SELECT pg_wal_replay_resume()")
                        assert told(await anext(updates)) == told(seen) == 2
                        await deposited(running)
                        assert told(await waiting) == told(await anext(updates)) == 3

        asyncio.run(asyncio.wait_for(scenario(), 60))


def told(update: object) -> int:
    """Return the amount that an update tells."""
    assert isinstance(update, Update)
    assert isinstance(update.answer, Balance)
    return update.answer.amount


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
