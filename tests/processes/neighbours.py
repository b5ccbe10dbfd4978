"""Three services that send commands to each other, of the same names and under the same ids."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Service, System, Tag, decide, evolve, replace

ThingId = Annotated[str, Tag("thing")]


class Count(Command):
    thing: ThingId


class Counted(Event):
    thing: ThingId
    times: int


class Thing(Aggregate, key=ThingId):
    times: int = 0

    @decide
    def count(self, command: Count) -> Iterator[Counted]:
        yield Counted(thing=self.key, times=self.times + 1)

    @evolve
    def counted(self, event: Counted) -> Self:
        return replace(self, times=event.times)


class CountLeft(Command, name="Count", service="left"):
    thing: ThingId


class CountRight(Command, name="Count", service="right"):
    thing: ThingId


class CountBelow(Command, name="Count", service="below"):
    thing: ThingId


left = Service("left", aggregates=[Thing], sends=[CountRight, CountBelow], takes_commands_from=["right", "below"])
right = Service("right", aggregates=[Thing], sends=[CountLeft, CountBelow], takes_commands_from=["left", "below"])
below = Service("below", aggregates=[Thing], sends=[CountLeft, CountRight], takes_commands_from=["left", "right"])
neighbours = System(left, right, below)
