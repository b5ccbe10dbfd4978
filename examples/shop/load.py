"""Loading documents into running services, and having their followers do their work again."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from examples.shop import shop
from examples.shop.orders import Order
from twofold import Receipt
from twofold.messaging import inbox_name
from twofold.service import Running

SERVICE_OF = {
    command: service.name for service in shop.services.values() for command in service.declaration.commands.values()
}
SENDERS = 64
LOOK_AGAIN_SECONDS = 0.05


async def load(
    services: Mapping[str, Running], orders: Iterator[Order], sent: Callable[[], object]
) -> dict[str, Receipt]:
    """Send all documents, many at a time so that they share commits, and return the last receipt of each service.

    A document's number makes its command's id: however often it is sent, it counts once.
    """
    receipts: dict[str, Receipt] = {}

    async def send_some() -> None:
        for order in orders:  # All senders take from the same iterator.
            service = services[SERVICE_OF[type(order)]]
            receipt = await service.send(order, id=f"document-{order.number}")
            if receipt.service not in receipts or receipt.position > receipts[receipt.service].position:
                receipts[receipt.service] = receipt
            sent()

    async with asyncio.TaskGroup() as senders:
        for _ in range(SENDERS):
            senders.create_task(send_some())
    return receipts


async def deliver_again(services: Mapping[str, Running]) -> None:
    """Have every published event delivered to every service that hears it a second time."""
    await asyncio.gather(
        *[
            _repeat(service, inbox_name(source), (), services[source])
            for service in services.values()
            for source in service.declaration.sources
        ]
    )


async def rebuild(services: Mapping[str, Running]) -> None:
    """Empty every view, and have it filled again from the first event."""
    await asyncio.gather(
        *[
            _repeat(service, follower, tables, service)
            for service in services.values()
            for follower, tables in service.declaration.followers.items()
        ]
    )


async def _repeat(service: Running, follower: str, tables: Sequence[str], followed: Running) -> None:
    """Send a follower back to the first event once it is through, and return when it is through again."""
    head = await followed.log.head()
    await _reach(service, follower, head)
    await service.views.rewind(follower, tables)
    await _reach(service, follower, head)


async def _reach(service: Running, follower: str, position: int) -> None:
    while await service.views.position(follower) < position:  # noqa: ASYNC110 - a database has no event to wait for.
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
