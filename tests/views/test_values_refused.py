"""A row that the database cannot hold is the fault of one event, and parks that event's key alone."""

import asyncio
from collections.abc import Iterator

from examples.bank import Account, AccountId, Balance, BalanceOf, Deposit, Deposited, balance_of
from twofold import Command, Service, decide
from twofold.service import Settings


class DepositFortune(Command):
    account: AccountId


@decide
def deposit_fortune(command: DepositFortune, account: Account) -> Iterator[Deposited]:
    yield Deposited(account=command.account, amount=1 << 62)


bank = Service("bank", aggregates=[Account], decisions=[deposit_fortune], views=[Balance], queries=[balance_of])


def test_a_sum_that_outgrows_its_column_parks_its_key_and_nothing_else() -> None:
    """The batch that could not be stored is looked through for the event to blame, and the rest of it is stored."""

    async def scenario() -> None:
        async with bank.run(Settings(log="memory:", views="memory:")) as running:
            await running.send(Deposit(account="bob", amount=1))
            for _ in range(3):
                await running.send(DepositFortune(account="ann"))
            receipt = await running.send(Deposit(account="bob", amount=1))
            bob = await running.ask(BalanceOf(account="bob"), after=receipt, timeout_seconds=30)
            ann = await running.ask(BalanceOf(account="ann"), after=receipt)
            assert bob == Balance(key="bob", amount=2)
            assert ann == Balance(key="ann", amount=1 << 62)
            parked = await running.views.parked()
            assert [(each.lane, each.position) for each in parked] == [("account:ann", 3), ("account:ann", 4)]
            assert "too large" in parked[0].error

    asyncio.run(scenario())
