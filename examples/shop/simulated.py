"""What simulations need of the shop: a payment API in each world that is slow, fails and loses answers, and rules to keep."""

import asyncio

import httpx

from examples.shop.payment_api import PaymentProvider
from examples.shop.payments import Paid, PaymentApi
from examples.shop.shelves import Shelf
from twofold.simulation import Chance, invariant, stand_in


@stand_in(PaymentApi)
def payment_provider(chance: Chance) -> PaymentApi:
    return PaymentApi(httpx.AsyncClient(transport=Unreliable(chance), base_url="http://payments.test"))


class Unreliable(httpx.AsyncBaseTransport):
    """Leads to the API that comes with the example, without a socket, and not always there and back."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._to = httpx.ASGITransport(PaymentProvider().app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._on_the_way("The request was lost.")
        response = await self._to.handle_async_request(request)
        await response.aread()
        await self._on_the_way("The answer was lost.")
        return response

    async def _on_the_way(self, what: str) -> None:
        await asyncio.sleep(self._chance.between(0, 0.5))
        if self._chance.happens(0.1):
            raise httpx.ReadError(what)


@invariant
def a_shelf_promises_what_it_has(shelf: Shelf) -> bool:
    """No more units are reserved than there are."""
    return shelf.units >= 0


@invariant
def nobody_is_given_back_what_was_not_taken(paid: Paid) -> bool:
    """What is given back was taken."""
    return paid.given_back_mills in (0, paid.taken_mills)
