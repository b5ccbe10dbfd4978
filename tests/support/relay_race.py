"""A process that either of two events starts, that is strict about strays, and that begins anew after its end."""

from collections.abc import Iterator
from typing import Annotated, Self

from twofold import Aggregate, Command, End, Event, Process, Service, Tag, decide, end, evolve, react, replace

TeamId = Annotated[str, Tag("team")]


class Leg(Command):
    team: TeamId


class HandOver(Command):
    team: TeamId


class Finish(Command):
    team: TeamId


class Cheer(Command):
    team: TeamId


class Ran(Event):
    team: TeamId


class HandedOver(Event):
    team: TeamId


class Finished(Event):
    team: TeamId


class Cheered(Event):
    team: TeamId


class Team(Aggregate, key=TeamId):
    @decide
    def leg(self, command: Leg) -> Iterator[Ran]:
        yield Ran(team=command.team)

    @decide
    def hand_over(self, command: HandOver) -> Iterator[HandedOver]:
        yield HandedOver(team=command.team)

    @decide
    def finish(self, command: Finish) -> Iterator[Finished]:
        yield Finished(team=command.team)

    @decide
    def cheer(self, command: Cheer) -> Iterator[Cheered]:
        yield Cheered(team=command.team)

    @evolve
    def ran(self, event: Ran) -> Self:
        return self

    @evolve
    def handed_over(self, event: HandedOver) -> Self:
        return self

    @evolve
    def finished(self, event: Finished) -> Self:
        return self

    @evolve
    def cheered(self, event: Cheered) -> Self:
        return self


class Race(Process, key=TeamId, start="first", missing="park", ended="start"):
    legs: int = 0
    hand_overs: int = 0

    @evolve
    def ran(self, event: Ran) -> Self:
        return replace(self, legs=self.legs + 1)

    @evolve
    def handed_over(self, event: HandedOver) -> Self:
        return replace(self, hand_overs=self.hand_overs + 1)

    @react(starts=True)
    def go(self, event: Ran | HandedOver) -> Iterator[Cheer]:
        yield Cheer(team=event.team)

    @react
    def finish(self, event: Finished) -> Iterator[End]:
        yield end()


race = Service("race", aggregates=[Team], processes=[Race])
