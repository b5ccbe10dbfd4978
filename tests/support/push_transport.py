"""A transport that pushes as one with a broker does: a delivery is handed over, and confirmed when all have settled it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable

from twofold.messaging import Delivery


class _Desk:
    """Where one group gets one source's deliveries, one at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Condition()
        self._delivery: Delivery | None = None

    async def hand_over(self, delivery: Delivery) -> None:
        async with self._turn:
            # While a relay is taken over there may be two; each waits until its own delivery was on the desk.
            await self._turn.wait_for(lambda: self._delivery is None)
            self._delivery = delivery
            self._turn.notify_all()
            try:
                await self._turn.wait_for(lambda: self._delivery is not delivery)
            finally:
                if self._delivery is delivery:
                    self._delivery = None
                    self._turn.notify_all()

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        while True:
            async with self._turn:
                await self._turn.wait_for(lambda: self._delivery is not None)
                delivery = self._delivery
            if delivery is None:
                continue
            yield delivery
            async with self._turn:
                if self._delivery is delivery:
                    self._delivery = None
                self._turn.notify_all()


class PushingTransport:
    """Connects services that run in one process.

    Nothing is kept: what a subscriber had not settled when the process ended is published again by the relay, whose
    checkpoint had not moved. So who subscribes has to be said before anything is published.
    """

    pushes = True

    def __init__(self, subscriptions: Iterable[tuple[str, str]]) -> None:
        self._desks: dict[str, dict[str, _Desk]] = {}
        for group, source in subscriptions:
            self._desks.setdefault(source, {})[group] = _Desk()

    async def publish(self, delivery: Delivery) -> None:
        desks = self._desks.get(delivery.source, {}).values()
        await asyncio.gather(*[desk.hand_over(delivery) for desk in desks])

    def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        return self._desks.setdefault(source, {}).setdefault(group, _Desk()).deliveries()

    async def close(self) -> None:
        pass
