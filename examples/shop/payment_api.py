"""Somebody else's payment API, as small as it may be: it takes money, gives it back, and fails as it is told.

What goes wrong with a card is in its name. ``python -m examples.shop.payment_api`` serves it where payments looks for it,
unless ``SHOP_PAYMENT_API`` says otherwise.
"""

import asyncio
from collections import Counter
from typing import Annotated

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from twofold import Meta
from twofold.http import serve

PORT = 8099

DECLINED = "declined"
"""A card from which nothing is taken."""
LOST = "lost"
"""A card from which the money is taken, and the first answer that says so is lost."""
SLOW = "slow"
"""A card of which the bank wants to think about it."""
LATE = "late"
"""A card of which nothing is known until it has been asked for often."""

LIMIT_MILLS = 5_000_000
"""More than this is taken from no card at once."""
SLOW_SECONDS = 0.5
LATE_CALLS = 8


class Charge(msgspec.Struct, frozen=True):
    order: str
    card: str
    amount_mills: Annotated[int, Meta(gt=0)]


class Refund(msgspec.Struct, frozen=True):
    order: str


class Entry(msgspec.Struct):
    """What was taken for an order, and given back."""

    order: str
    taken_mills: int = 0
    given_back_mills: int = 0


class PaymentProvider:
    """Keeps account of all money that it moves. What has an idempotency key that it knows is answered, and not done again."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.is_down = False
        self._answers: dict[str, Response] = {}
        self._calls: Counter[str] = Counter()
        self.app = Starlette(
            routes=[
                Route("/charges", self.charge, methods=["POST"]),
                Route("/refunds", self.refund, methods=["POST"]),
                Route("/entries", self.told, methods=["GET"]),
            ]
        )

    async def charge(self, request: Request) -> Response:
        charge = msgspec.json.decode(await request.body(), type=Charge)
        key = request.headers["Idempotency-Key"]
        self._calls[key] += 1
        if self.is_down or (LATE in charge.card and self._calls[key] < LATE_CALLS):
            return Response(status_code=503)
        if SLOW in charge.card:
            await asyncio.sleep(SLOW_SECONDS)
        if key not in self._answers:
            self._answers[key] = self._charged(charge)
        if LOST in charge.card and self._calls[key] == 1:
            return Response(status_code=500)
        return self._answers[key]

    def _charged(self, charge: Charge) -> Response:
        if DECLINED in charge.card:
            return _json({"reason": "The card was declined."}, status=402)
        if charge.amount_mills > LIMIT_MILLS:
            return _json({"reason": "That is more than the card's limit."}, status=402)
        entry = self.entries.setdefault(charge.order, Entry(charge.order))
        entry.taken_mills += charge.amount_mills
        return _json(entry)

    async def refund(self, request: Request) -> Response:
        refund = msgspec.json.decode(await request.body(), type=Refund)
        key = request.headers["Idempotency-Key"]
        if self.is_down:
            return Response(status_code=503)
        if key not in self._answers:
            entry = self.entries[refund.order]
            entry.given_back_mills = entry.taken_mills
            self._answers[key] = _json(entry)
        return self._answers[key]

    async def told(self, request: Request) -> Response:
        return _json([*self.entries.values()])


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


if __name__ == "__main__":
    asyncio.run(serve(PaymentProvider().app, port=PORT, ready=print))
