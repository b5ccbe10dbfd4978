"""Loading documents into the services, and having their followers do their work again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle

import httpx

from examples.shop import shop
from examples.shop.orders import Order
from examples.shop.totals import Refused
from twofold import Command, Receipt
from twofold.followers import checkpoints
from twofold.messages import encode, parse_receipts
from twofold.messaging import inbox_name
from twofold.operations.databases import Databases
from twofold.service import Running
from twofold.views import replacing

SERVICE_OF = {
    command: service.name for service in shop.services.values() for command in service.declaration.commands.values()
}
SENDERS = 64
CLIENTS = 8
LOOK_AGAIN_SECONDS = 0.05
AWAY = {500, 502, 503, 504}

Send = Callable[[Order], Awaitable[Receipt]]


async def load(send: Send, orders: Iterator[Order], sent: Callable[[], object]) -> dict[str, Receipt]:
    """Send all documents, many at a time so that they share commits, and return the last receipt of each service."""
    receipts: dict[str, Receipt] = {}

    async def send_some() -> None:
        for order in orders:  # All senders take from the same iterator.
            receipt = await send(order)
            if receipt.service not in receipts or receipt.position > receipts[receipt.service].position:
                receipts[receipt.service] = receipt
            sent()

    async with asyncio.TaskGroup() as senders:
        for _ in range(SENDERS):
            senders.create_task(send_some())
    return receipts


# A document's number makes its command's id: however often and in whichever way it is sent, it counts once.


def within(services: Mapping[str, Running]) -> Send:
    """Send to services of this process."""

    async def send(order: Order) -> Receipt:
        service = services[SERVICE_OF[type(order)]]
        return await service.send(order, id=f"{type(order).message_name}:document-{order.number}")

    return send


@asynccontextmanager
async def over(url: str) -> AsyncIterator[Send]:
    """Send over HTTP for a block, each document again and again until somebody acknowledges it."""
    # A client looks through all of its connections for each request, so many with few are quicker than one with many.
    limits = httpx.Limits(max_connections=SENDERS // CLIENTS)
    async with AsyncExitStack() as stack:
        clients = [httpx.AsyncClient(base_url=url, limits=limits, timeout=60) for _ in range(CLIENTS)]
        yield sending([await stack.enter_async_context(client) for client in clients])


def sending(clients: Sequence[httpx.AsyncClient]) -> Send:
    turns = cycle(clients)

    async def send(order: Order) -> Receipt:
        return await post(next(turns), SERVICE_OF[type(order)], order, key=f"document-{order.number}")

    return send


async def post(http: httpx.AsyncClient, service: str, command: Command, key: str) -> Receipt:
    """Send a command until somebody acknowledges it; by its key it takes effect once.

    Raises:
        Refused: it is answered, and not acknowledged.
    """
    path = f"/{service}/commands/{type(command).message_name}"
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    while True:
        try:
            response = await http.post(path, content=encode(command), headers=headers)
        except httpx.TransportError:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            continue
        if response.is_success:
            return parse_receipts(response.headers["Twofold-Receipt"])[0]
        if response.status_code not in AWAY:
            raise Refused(f"{path}: {response.text}")
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


# Followers that begin anew.


async def deliver_again(services: Mapping[str, Running | Databases]) -> None:
    """Have every published event delivered to every service that hears it a second time."""
    await asyncio.gather(
        *[
            _repeat(service, inbox_name(source), services[source])
            for service in services.values()
            for source in service.declaration.sources
        ]
    )


async def rebuild(services: Mapping[str, Running | Databases]) -> None:
    """Have every view filled again from the first event, beside the rows that answer meanwhile."""
    await asyncio.gather(
        *[service.rebuild(follower) for service in services.values() for follower in service.declaration.followers]
    )


async def _repeat(service: Running | Databases, follower: str, followed: Running | Databases) -> None:
    """Send a follower back to the first event once it is through, and return when it is through again."""
    head = await followed.log.head()
    await _reach(service, follower, head)
    await replacing.rewind(service.views, follower, ())
    await _reach(service, follower, head)


async def _reach(service: Running | Databases, follower: str, position: int) -> None:
    while await checkpoints.position(service.views, follower) < position:  # noqa: ASYNC110 - a database has no event to wait for.
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
