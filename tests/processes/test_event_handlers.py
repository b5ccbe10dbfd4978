"""Event handlers: what happens outside when an event has happened, from end to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from examples.bank import Account, Deposit, Deposited
from tests.support.waiting import until
from twofold import HandlerContext, Service, handle
from twofold.testing import running


class Mailer:
    """Keeps what it would have sent, with the keys that it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    async def send(self, to: str, idempotency_key: str) -> None:
        self.sent.append((to, idempotency_key))

    async def has(self, count: int) -> bool:
        return len(self.sent) >= count


MAILER = Mailer()


@asynccontextmanager
async def open_mailer() -> AsyncIterator[Mailer]:
    MAILER.sent.clear()
    yield MAILER


@handle(start="first")
async def tell(event: Deposited, mailer: Mailer, context: HandlerContext) -> None:
    await mailer.send(event.account, idempotency_key=context.id)


bank = Service("bank", aggregates=[Account], handlers=[tell], resources={Mailer: open_mailer})


def test_a_handler_is_given_each_event_once_and_what_it_needs(tmp_path: Path) -> None:
    """With an id that is another one for each event; after a restart it goes on where it was."""

    async def scenario() -> None:
        async with running(bank, tmp_path) as service:
            await service.send(Deposit(account="ann", amount=1))
            await service.send(Deposit(account="bob", amount=2))
            await until(lambda: MAILER.has(2))
            assert {to for to, _ in MAILER.sent} == {"ann", "bob"}
            assert len({id for _, id in MAILER.sent}) == 2
        async with running(bank, tmp_path) as service:
            await service.send(Deposit(account="eve", amount=3))
            await until(lambda: MAILER.has(1))
            assert [to for to, _ in MAILER.sent] == ["eve"]

    asyncio.run(scenario())
