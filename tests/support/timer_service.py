"""A service that reminds of things: a process sets timers, moves and takes them back, and rings when one comes."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self

from msgspec import Meta

from twofold import (
    Aggregate,
    Cancel,
    Command,
    Event,
    Later,
    Process,
    Rejected,
    Service,
    Tag,
    Timer,
    at,
    cancel,
    decide,
    evolve,
    react,
    replace,
)

ItemId = Annotated[str, Tag("item")]
Moment = Annotated[datetime, Meta(tz=True)]


class Ask(Command):
    item: ItemId
    due: Moment
    label: str = ""


class Forget(Command):
    item: ItemId


class Ring(Command):
    item: ItemId
    label: str = ""


class Unheard(Command):
    item: ItemId


class Asked(Event):
    item: ItemId
    due: Moment
    label: str


class Forgotten(Event):
    item: ItemId


class Rung(Event):
    item: ItemId
    label: str


class Silent(Rejected):
    """This one is not to ring."""


class Item(Aggregate, key=ItemId):
    rings: int = 0

    @decide
    def ask(self, command: Ask) -> Iterator[Asked]:
        yield Asked(item=command.item, due=command.due, label=command.label)

    @decide
    def forget(self, command: Forget) -> Iterator[Forgotten]:
        yield Forgotten(item=command.item)

    @decide
    def ring(self, command: Ring) -> Iterator[Rung]:
        if command.label == "silent":
            raise Silent
        yield Rung(item=command.item, label=command.label)

    @evolve
    def was_rung(self, event: Rung) -> Self:
        return replace(self, rings=self.rings + 1)

    @evolve
    def was_asked(self, event: Asked) -> Self:
        return self

    @evolve
    def was_forgotten(self, event: Forgotten) -> Self:
        return self


class Alarm(Timer):
    item: ItemId
    label: str


class Reminding(Process, key=ItemId, start="first", missing="ignore", ended="ignore"):
    @react(starts=True)
    def asked(self, event: Asked) -> Iterator[Later[Alarm]]:
        yield at(Alarm(item=event.item, label=event.label), event.due)

    @react
    def forgotten(self, event: Forgotten) -> Iterator[Cancel]:
        yield cancel(Alarm)

    @react
    def rang(self, timer: Alarm) -> Iterator[Ring]:
        yield Ring(item=timer.item, label=timer.label)


reminders = Service("reminders", aggregates=[Item], processes=[Reminding])

plain = Service("plain", aggregates=[Item])
