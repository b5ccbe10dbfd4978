"""A service that only follows, as a process of its own: it is killed by the test that starts it."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Self

from twofold import Event, Service, Tag, View, evolve, project, replace
from twofold.testing import running
from twofold.views import Transaction

MeterId = Annotated[str, Tag("meter")]


class Read(Event):
    meter: MeterId
    number: int


class Meter(View, key=MeterId):
    """Counts each reading, and remembers the last: one that came twice or out of order would show."""

    count: int = 0
    last: int = 0
    disordered: int = 0

    @evolve
    def read(self, event: Read) -> Self:
        disordered = self.disordered + (event.number <= self.last)
        return replace(self, count=self.count + 1, last=event.number, disordered=disordered)


class Sum(View, key=Annotated[str, Tag("sum")]):
    count: int = 0
    total: int = 0


@project(Sum)
async def summing(event: Read, rows: Transaction) -> None:
    row = await rows.get(Sum, "all")
    rows.put(replace(row, count=row.count + 1, total=row.total + event.number))


meters = Service("meters", views=[Meter], projections=[summing])


async def main(folder: str) -> None:
    async with running(meters, Path(folder)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
