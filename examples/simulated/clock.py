"""A decision that reads the clock: what it decides is not what it decides again."""

import time
from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Service, Tag, decide, evolve, replace

TicketId = Annotated[str, Tag("ticket")]


class Open(Command):
    ticket: TicketId


class Opened(Event):
    ticket: TicketId
    at: float


class Ticket(Aggregate, key=TicketId):
    at: float = 0.0

    @decide
    def open(self, command: Open) -> Iterator[Opened]:
        yield Opened(ticket=command.ticket, at=time.time())

    @evolve
    def opened(self, event: Opened) -> Self:
        return replace(self, at=event.at)


tickets = Service("tickets", aggregates=[Ticket])
