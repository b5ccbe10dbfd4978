"""Two services of which everything can go wrong that is told: one reads meters, and one hears of it."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
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
    handle,
    replace,
)
from twofold.followers import Decision, Discard, Failure, RetryAfter

MeterId = Annotated[str, Tag("meter")]

BROKEN = 13
"""A reading that the view cannot take in until it is mended."""
mended = False

UNSPEAKABLE = 666
"""A reading that is in the view, and in no answer."""


class Report(Command):
    meter: MeterId
    reading: int


class Reported(Event):
    meter: MeterId
    reading: int


class Backwards(Rejected):
    """A meter does not run backwards."""


class Meter(Aggregate, key=MeterId):
    reading: int = 0

    @decide
    def report(self, command: Report) -> Iterator[Reported]:
        if command.reading < self.reading:
            raise Backwards
        yield Reported(meter=command.meter, reading=command.reading)

    @evolve
    def reported(self, event: Reported) -> Self:
        return replace(self, reading=event.reading)


class Latest(View, key=MeterId):
    reading: int = 0

    @evolve
    def reported(self, event: Reported) -> Self:
        if event.reading == BROKEN and not mended:
            raise ValueError("no meter shows that")
        return replace(self, reading=event.reading)


def retried_or_left_out(failure: Failure) -> Decision:
    return Discard("no words for it") if isinstance(failure.error, ValueError) else RetryAfter(0.1)


@handle(start="first", policy=retried_or_left_out)
async def tell(event: Reported) -> None:
    """Tell somebody who is away until things are mended."""
    if event.reading == UNSPEAKABLE:
        raise ValueError("no words for it")
    if not mended:
        raise ConnectionError("nobody there")


class ReadingOf(Query[int]):
    meter: str


class Read(Query[list[str]]):
    """Which meters were read."""


@answer
async def reading_of(query: ReadingOf, views: Views) -> int:
    row = await views.get(Latest, query.meter)
    if row and row.reading == UNSPEAKABLE:
        raise ValueError("there is no word for it")
    return row.reading if row else 0


@answer
async def read(query: Read, views: Views) -> list[str]:
    return [row.key for row in await views.find(Latest)]


class ReportedElsewhere(Event, name="Reported", source="metering"):
    meter: MeterId
    reading: int


class Heard(View, key=MeterId):
    reading: int = 0

    @evolve
    def reported(self, event: ReportedElsewhere) -> Self:
        return replace(self, reading=event.reading)


metering = Service(
    "metering", aggregates=[Meter], views=[Latest], queries=[reading_of, read], publishes=[Reported], handlers=[tell]
)
billing = Service("billing", views=[Heard], subscribes=[ReportedElsewhere])
