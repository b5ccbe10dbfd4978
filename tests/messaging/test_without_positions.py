"""A source that keeps no log says no positions, and is heard like any other."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from msgspec import Raw

from tests.messaging.service_pair import Demand, DemandFor, buying
from tests.support.waiting import until
from twofold.messaging import Delivery, Published


class Outsider:
    """Tells of one sale after the other, from the first on to whoever asks anew, as a broker does of what is not settled."""

    pushes = True

    def __init__(self) -> None:
        self.subscriptions = 0

    async def publish(self, delivery: Delivery) -> None:
        pass

    async def subscribe(self, group: str, source: str, after: int) -> AsyncGenerator[Delivery, None]:
        self.subscriptions += 1
        for number in range(3):
            data = Raw(b'{"item": "tea", "units": 2}')
            yield Delivery(source, [Published(f"sale-{number}", source, "Sold", 1, "item:tea", 0, 0, data)], 0)
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


def test_what_has_no_position_is_followed_on_and_on(tmp_path: Path) -> None:
    """The inbox stays at position 0, which is no end: it asks once, settles each delivery, and comes to the next."""

    async def scenario() -> None:
        outsider = Outsider()
        log, views = (f"sqlite:///{tmp_path}/{name}.db" for name in ("log", "views"))
        async with buying.run(log=log, views=views, transport=outsider) as buyers:

            async def all_is_heard() -> bool:
                return await buyers.ask(DemandFor(item="tea")) == Demand(key="tea", sales=3, units=6)

            await until(all_is_heard)
            assert outsider.subscriptions == 1

    asyncio.run(scenario())
