"""A service whose view notices whatever comes twice, too early or not at all: each key's numbers have to come in order."""

from typing import Annotated, Self

from twofold import Event, Service, Tag, View, evolve, project, replace
from twofold.views import Transaction

KeyId = Annotated[str, Tag("key")]


class Numbered(Event):
    key: KeyId
    number: int
    poison: bool = False


class InOrder(View, key=KeyId):
    last: int = 0
    times: int = 0

    @evolve
    def numbered(self, event: Numbered) -> Self:
        if event.poison:
            raise ValueError("it cannot be counted")
        if event.number != self.last + 1:
            raise ValueError(f"{event.number} came after {self.last}")
        return replace(self, last=event.number, times=self.times + 1)


class Written(View, key=Annotated[str, Tag("written")]):
    times: int = 0


@project(Written)
async def writing(event: Numbered, rows: Transaction) -> None:
    row = await rows.get(Written, event.key)
    rows.put(replace(row, times=row.times + 1))


counting = Service("counting", views=[InOrder], projections=[writing])
