"""A service whose view and projection cannot take the unlucky number until the file ``mended`` is in the current folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from twofold import (
    Aggregate,
    Command,
    Event,
    Query,
    Service,
    System,
    Tag,
    View,
    Views,
    answer,
    decide,
    evolve,
    project,
    replace,
)
from twofold.views import Transaction

PlayerId = Annotated[str, Tag("player")]

UNLUCKY = 13


class Throw(Command):
    player: PlayerId
    points: int


class Thrown(Event):
    player: PlayerId
    points: int


class Player(Aggregate, key=PlayerId):
    throws: int = 0

    @decide
    def throw(self, command: Throw) -> Iterator[Thrown]:
        yield Thrown(player=command.player, points=command.points)

    @evolve
    def thrown(self, event: Thrown) -> Self:
        return replace(self, throws=self.throws + 1)


def check(points: int) -> None:
    if points == UNLUCKY and not Path("mended").exists():
        raise ValueError("13 is unlucky")


class Score(View, key=PlayerId):
    points: int = 0

    @evolve
    def thrown(self, event: Thrown) -> Self:
        check(event.points)
        return replace(self, points=self.points + event.points)


class Best(View, key=Annotated[str, Tag("rank")]):
    points: int = 0


@project(Best)
async def best(event: Thrown, rows: Transaction) -> None:
    check(event.points)
    first = await rows.get(Best, "first")
    rows.put(replace(first, points=max(first.points, event.points)))


class ScoreOf(Query[Score | None]):
    player: str


@answer
async def score_of(query: ScoreOf, views: Views) -> Score | None:
    return await views.get(Score, query.player)


shaky = Service("shaky", aggregates=[Player], views=[Score], queries=[score_of])
projecting = Service("projecting", aggregates=[Player], projections=[best])
both = System(shaky, projecting)
