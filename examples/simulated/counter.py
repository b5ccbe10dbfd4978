"""A view whose step counts in a global: its rows are not what the log says, but what was in memory."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, Event, Service, Tag, View, decide, evolve, replace

RunnerId = Annotated[str, Tag("runner")]


class Finish(Command):
    runner: RunnerId


class Finished(Event):
    runner: RunnerId


class Runner(Aggregate, key=RunnerId):
    has_finished: bool = False

    @decide
    def finish(self, command: Finish) -> Iterator[Finished]:
        if not self.has_finished:
            yield Finished(runner=command.runner)

    @evolve
    def finished(self, event: Finished) -> Self:
        return replace(self, has_finished=True)


_places = itertools.count(1)


class Result(View, key=RunnerId):
    place: int = 0

    @evolve
    def finished(self, event: Finished) -> Self:
        return replace(self, place=next(_places))


race = Service("race", aggregates=[Runner], views=[Result])
