"""A decision that forgets what has happened: whoever has once held a seat can buy it, also when it is sold."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Context,
    Event,
    Query,
    Rejected,
    Service,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    replace,
)
from twofold.simulation import Chance, Client, invariant, scenario

SeatId = Annotated[str, Tag("seat")]


class Hold(Command):
    seat: SeatId


class Buy(Command):
    """Only who knows the ticket of a hold can buy the seat."""

    seat: SeatId
    ticket: str


class Held(Event):
    seat: SeatId
    ticket: str


class Bought(Event):
    seat: SeatId
    ticket: str


class NotPossible(Rejected):
    "The seat is sold, or the ticket is not one of its."


class Seat(Aggregate, key=SeatId):
    tickets: tuple[str, ...] = ()
    times_bought: int = 0

    @decide
    def hold(self, command: Hold, context: Context) -> Iterator[Held]:
        if self.times_bought:
            raise NotPossible
        yield Held(seat=command.seat, ticket=context.new_id())

    @decide
    def buy(self, command: Buy) -> Iterator[Bought]:
        if command.ticket not in self.tickets:
            raise NotPossible
        yield Bought(seat=command.seat, ticket=command.ticket)

    @evolve
    def held(self, event: Held) -> Self:
        return replace(self, tickets=(*self.tickets, event.ticket))

    @evolve
    def bought(self, event: Bought) -> Self:
        return replace(self, times_bought=self.times_bought + 1)


class LastHold(View, key=SeatId):
    ticket: str = ""

    @evolve
    def held(self, event: Held) -> Self:
        return replace(self, ticket=event.ticket)


class LastHoldOf(Query[LastHold | None]):
    seat: SeatId


@answer
async def last_hold_of(query: LastHoldOf, views: Views) -> LastHold | None:
    return await views.get(LastHold, query.seat)


@invariant
def a_seat_is_sold_once(seat: Seat) -> bool:
    """Nobody buys a seat that somebody else has bought."""
    return seat.times_bought <= 1


@scenario
async def books_a_seat(theatre: Client, chance: Chance) -> None:
    """Hold some seat, read the ticket, think about it, and buy the seat."""
    hold = theatre.make(Hold)
    await theatre.send(hold)
    last = await theatre.ask(LastHoldOf(seat=hold.seat))
    assert last is not None, "what was held is not seen"
    await asyncio.sleep(chance.between(0, 2))
    await theatre.send(Buy(seat=hold.seat, ticket=last.ticket))


theatre = Service("theatre", aggregates=[Seat], views=[LastHold], queries=[last_hold_of])
