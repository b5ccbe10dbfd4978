"""Two services that see things through: an office that has parcels sent, and a depot that has little room for them."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Accepted,
    Aggregate,
    Command,
    Compensated,
    Event,
    HandlerContext,
    Later,
    Process,
    Refused,
    Rejected,
    Service,
    System,
    Tag,
    Tick,
    Timer,
    after,
    cancel,
    compensate,
    decide,
    end,
    every,
    evolve,
    handle,
    react,
    replace,
    step,
)
from twofold.processes import Cancel, Compensate, End, Step
from twofold.simulation import Chance, stand_in

ParcelId = Annotated[str, Tag("parcel")]
ShelfId = Annotated[int, Tag("shelf")]

ROOM = 2


# The depot.


class Full(Rejected):
    """There is no room on this shelf."""


class Take(Command):
    shelf: ShelfId
    parcel: ParcelId


class Hand(Command):
    shelf: ShelfId
    parcel: ParcelId


class Clear(Command):
    shelf: ShelfId


class Taken(Event):
    shelf: ShelfId
    parcel: ParcelId


class Handed(Event):
    shelf: ShelfId
    parcel: ParcelId


class Shelf(Aggregate, key=ShelfId):
    parcels: frozenset[str] = frozenset()

    @decide
    def take(self, command: Take) -> Iterator[Taken]:
        if len(self.parcels) >= ROOM:
            raise Full(len(self.parcels))
        if command.parcel not in self.parcels:
            yield Taken(shelf=command.shelf, parcel=command.parcel)

    @decide
    def hand(self, command: Hand) -> Iterator[Handed]:
        if command.parcel in self.parcels:
            yield Handed(shelf=command.shelf, parcel=command.parcel)

    @decide
    def clear(self, command: Clear) -> Iterator[Handed]:
        for parcel in sorted(self.parcels):
            yield Handed(shelf=command.shelf, parcel=parcel)

    @evolve
    def taken(self, event: Taken) -> Self:
        return replace(self, parcels=self.parcels | {event.parcel})

    @evolve
    def handed(self, event: Handed) -> Self:
        return replace(self, parcels=self.parcels - {event.parcel})


@every("* * * * *", zone="UTC", missed="one")
def tidy(tick: Tick) -> Iterator[Clear]:
    yield Clear(shelf=tick.at.minute % 2)


class Bell:
    """What rings when a parcel has come; now and then it does not work."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def ring(self) -> None:
        """Ring it.

        Raises:
            OSError: it does not work now.
        """
        if self._chance.happens(0.3):
            raise OSError("the bell does not work")


@stand_in(Bell)
def faulty_bell(chance: Chance) -> Bell:
    return Bell(chance)


@handle(start="first", key=ShelfId)
async def tell(event: Taken, bell: Bell, context: HandlerContext) -> Hand | None:
    bell.ring()
    return Hand(shelf=event.shelf, parcel=event.parcel) if context.position % 5 == 0 else None


class Uncollected(Timer):
    shelf: ShelfId


class Collecting(Process, key=ShelfId, start="first", missing="ignore", ended="start"):
    @react(starts=True)
    def begin(self, event: Taken) -> Iterator[Later[Uncollected]]:
        yield after(Uncollected(shelf=event.shelf), seconds=2)

    @react
    def stop(self, event: Handed) -> Iterator[End]:
        yield end()

    @react
    def clear(self, timer: Uncollected) -> Iterator[Clear]:
        yield Clear(shelf=timer.shelf)


depot = Service(
    "depot",
    aggregates=[Shelf],
    processes=[Collecting],
    schedules=[tidy],
    handlers=[tell],
    takes_commands_from=["office"],
)


# The office.


class TakeIn(Command, name="Take", service="depot", rejections=(Full,)):
    shelf: ShelfId
    parcel: ParcelId


class HandOut(Command, name="Hand", service="depot"):
    shelf: ShelfId
    parcel: ParcelId


class Post(Command):
    parcel: ParcelId
    shelf: ShelfId


class CallBack(Command):
    parcel: ParcelId


class Stamp(Command):
    parcel: ParcelId


class Unstamp(Command):
    parcel: ParcelId


class Posted(Event):
    parcel: ParcelId
    shelf: ShelfId


class CalledBack(Event):
    parcel: ParcelId


class Stamped(Event):
    parcel: ParcelId


class Unstamped(Event):
    parcel: ParcelId


class Parcel(Aggregate, key=ParcelId):
    is_stamped: bool = False
    times_posted: int = 0
    times_called_back: int = 0

    @decide
    def post(self, command: Post) -> Iterator[Posted]:
        yield Posted(parcel=command.parcel, shelf=command.shelf)

    @decide
    def call_back(self, command: CallBack) -> Iterator[CalledBack]:
        yield CalledBack(parcel=command.parcel)

    @decide
    def stamp(self, command: Stamp) -> Iterator[Stamped]:
        yield Stamped(parcel=command.parcel)

    @decide
    def unstamp(self, command: Unstamp) -> Iterator[Unstamped]:
        yield Unstamped(parcel=command.parcel)

    @evolve
    def posted(self, event: Posted) -> Self:
        return replace(self, times_posted=self.times_posted + 1)

    @evolve
    def called_back(self, event: CalledBack) -> Self:
        return replace(self, times_called_back=self.times_called_back + 1)

    @evolve
    def stamped(self, event: Stamped) -> Self:
        return replace(self, is_stamped=True)

    @evolve
    def unstamped(self, event: Unstamped) -> Self:
        return replace(self, is_stamped=False)


class Overdue(Timer):
    parcel: ParcelId


class Sending(Process, key=ParcelId, start="first", missing="ignore", ended="ignore"):
    shelf: int = 0
    waits: int = 0
    is_called_back: bool = False

    @evolve
    def posted(self, event: Posted) -> Self:
        return replace(self, shelf=event.shelf)

    @evolve
    def called_back(self, event: CalledBack) -> Self:
        return replace(self, is_called_back=True)

    @evolve
    def overdue(self, timer: Overdue) -> Self:
        return replace(self, waits=self.waits + 1)

    @react(starts=True)
    def begin(self, event: Posted) -> Iterator[Step[Stamp, Unstamp] | Later[Overdue]]:
        yield step(Stamp(parcel=event.parcel), undo=Unstamp(parcel=event.parcel))
        yield after(Overdue(parcel=event.parcel), seconds=20)

    @react
    def go_on(self, outcome: Accepted[Stamp]) -> Iterator[Step[TakeIn, HandOut]]:
        parcel = outcome.command.parcel
        yield step(TakeIn(shelf=self.shelf, parcel=parcel), undo=HandOut(shelf=self.shelf, parcel=parcel))

    @react
    def wait(self, outcome: Accepted[TakeIn]) -> Iterator[Later[Overdue]]:
        yield after(Overdue(parcel=outcome.command.parcel), hours=2)

    @react
    def give_up(self, outcome: Refused[TakeIn]) -> Iterator[Cancel | Compensate]:
        yield cancel(Overdue)
        yield compensate()

    @react
    def stop(self, event: CalledBack) -> Iterator[Compensate]:
        yield compensate()

    @react
    def close(self, timer: Overdue) -> Iterator[Compensate | End]:
        if self.waits > 1:
            yield end()
        else:
            yield compensate()

    @react
    def undone(self, event: Compensated) -> Iterator[End]:
        yield end()


office = Service("office", aggregates=[Parcel], processes=[Sending])

both = System(office, depot)
