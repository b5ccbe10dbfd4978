"""Somebody else's payment API, as small as it may be: it takes money, gives it back, and fails as it is told.

What goes wrong with a card is in its name. ``python -m examples.shop.payment_api`` serves it where payments looks for it,
unless ``SHOP_PAYMENT_API`` says otherwise.
"""

import asyncio
from collections import Counter
from pathlib import Path
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
"""A card that the bank has to think about."""
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


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: msgspec.Raw


class Account(msgspec.Struct):
    """All money that was moved, by order, and what was answered, by idempotency key."""

    entries: dict[str, Entry] = {}
    answers: dict[str, Answer] = {}


class PaymentProvider:
    """Keeps account of all money that it moves, in a file if it has one. What it has answered once, it does not do again."""

    def __init__(self, file: Path | None = None) -> None:
        self.is_down = False
        self.account = Account()
        self._file = file
        self._calls: Counter[str] = Counter()
        if file is not None and file.exists():
            self.account = msgspec.json.decode(file.read_bytes(), type=Account)
        self.app = Starlette(
            routes=[
                Route("/charges", self.charge, methods=["POST"]),
                Route("/refunds", self.refund, methods=["POST"]),
                Route("/entries", self.entries, methods=["GET"]),
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
        if key not in self.account.answers:
            self._note(key, self._charged(charge))
        if LOST in charge.card and self._calls[key] == 1:
            return Response(status_code=500)
        return self._answered(key)

    def _charged(self, charge: Charge) -> Answer:
        if DECLINED in charge.card:
            return _answer({"reason": "The card was declined."}, status=402)
        if charge.amount_mills > LIMIT_MILLS:
            return _answer({"reason": "That is more than the card's limit."}, status=402)
        entry = self.account.entries.setdefault(charge.order, Entry(charge.order))
        entry.taken_mills += charge.amount_mills
        return _answer(entry)

    async def refund(self, request: Request) -> Response:
        refund = msgspec.json.decode(await request.body(), type=Refund)
        key = request.headers["Idempotency-Key"]
        if self.is_down:
            return Response(status_code=503)
        if key not in self.account.answers:
            entry = self.account.entries[refund.order]
            entry.given_back_mills = entry.taken_mills
            self._note(key, _answer(entry))
        return self._answered(key)

    async def entries(self, request: Request) -> Response:
        return Response(msgspec.json.encode([*self.account.entries.values()]), media_type="application/json")

    def _note(self, key: str, answer: Answer) -> None:
        self.account.answers[key] = answer
        if self._file is not None:
            # Whoever is killed leaves the old file or the new one, and none that is half of each.
            written = self._file.with_suffix(".new")
            written.write_bytes(msgspec.json.encode(self.account))
            written.replace(self._file)

    def _answered(self, key: str) -> Response:
        answer = self.account.answers[key]
        return Response(bytes(answer.body), answer.status, media_type="application/json")


def _answer(content: object, status: int = 200) -> Answer:
    return Answer(status, msgspec.Raw(msgspec.json.encode(content)))


if __name__ == "__main__":
    asyncio.run(serve(PaymentProvider().app, port=PORT, ready=print))
