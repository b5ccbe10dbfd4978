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
from twofold.messaging import RELAY, inbox_name
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


class ByService(httpx.AsyncHTTPTransport):
    """Sends each request to where its service answers, which the first part of the path names."""

    def __init__(self, urls: Mapping[str, str], connections: int) -> None:
        super().__init__(limits=httpx.Limits(max_connections=connections))
        self._addresses = {name: httpx.URL(url) for name, url in urls.items()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = self._addresses[request.url.path.split("/")[1]]
        request.url = request.url.copy_with(host=address.host, port=address.port)
        return await super().handle_async_request(request)


def client(urls: Mapping[str, str], connections: int = 100) -> httpx.AsyncClient:
    """Return a client of all services, wherever each of them answers."""
    return httpx.AsyncClient(base_url="http://localhost", transport=ByService(urls, connections), timeout=60)


@asynccontextmanager
async def over(urls: Mapping[str, str]) -> AsyncIterator[Send]:
    """Send over HTTP for a block, each document again and again until somebody acknowledges it."""
    # A client looks through all of its connections for each request, so many with few are quicker than one with many.
    connections = SENDERS // CLIENTS
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client(urls, connections)) for _ in range(CLIENTS)]
        yield sending(clients)


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


async def deliver_again(services: Mapping[str, Running | Databases], *, has_broker: bool) -> None:
    """Have every published event delivered a second time to every service that hears it; a broker gets it again."""
    heard = [(service, source) for service in services.values() for source in service.declaration.sources]
    for service, source in heard:
        await _reach(service, inbox_name(source), await services[source].log.head())
        await replacing.rewind(service.views, inbox_name(source), ())
    if has_broker:
        for source in {source for _, source in heard}:
            await replacing.rewind(services[source].views, RELAY, ())
    for service, source in heard:
        await _reach(service, inbox_name(source), await services[source].log.head())


async def rebuild(services: Mapping[str, Running | Databases]) -> None:
    """Have every view filled again from the first event, beside the rows that answer meanwhile."""
    await asyncio.gather(
        *[service.rebuild(follower) for service in services.values() for follower in service.declaration.followers]
    )


async def _reach(service: Running | Databases, follower: str, position: int) -> None:
    while await checkpoints.position(service.views, follower) < position:  # noqa: ASYNC110 - a database has no event to wait for.
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
