"""Parked events that name no key are a sequence of their own."""

import asyncio
from pathlib import Path
from typing import Annotated, Self

from twofold import Event, Service, Tag, View, evolve, replace
from twofold.followers import parking
from twofold.log import NewEvent
from twofold.service import Running, Settings

PlayerId = Annotated[str, Tag("player")]


def unmended() -> Service:
    class Thrown(Event):
        player: PlayerId
        points: int

    class Points(View, key=PlayerId):
        points: int = 0

        @evolve
        def thrown(self, event: Thrown) -> Self:
            raise ValueError("not yet")

    return Service("darts", views=[Points])


def mended() -> Service:
    class Thrown(Event):
        player: PlayerId
        points: int = 100

    class Points(View, key=PlayerId):
        points: int = 0

        @evolve
        def thrown(self, event: Thrown) -> Self:
            return replace(self, points=self.points + event.points)

    return Service("darts", views=[Points])


async def parked(running: Running) -> list[tuple[str, int]]:
    return [(each.key, each.position) for each in await parking.parked(running.views, "points_v1")]


async def until_parked(running: Running, expected: list[tuple[str, int]]) -> None:
    async with asyncio.timeout(30):
        while await parked(running) != expected:
            await asyncio.sleep(0.01)


def test_retrying_what_names_no_key_leaves_other_keys_alone(tmp_path: Path) -> None:
    """What did not fit and has no tags is parked without a key, and tried again without what other keys have parked."""
    settings = Settings(log=f"sqlite:///{tmp_path}/log.db", views=f"sqlite:///{tmp_path}/views.db")
    without_key = NewEvent("id-1", "Thrown", 1, (), b'{"player":"bob"}')
    with_key = NewEvent("id-2", "Thrown", 1, ("player:ann",), b'{"player":"ann","points":5}')

    async def scenario() -> list[tuple[str, int]]:
        async with unmended().run(settings) as running:
            await running.log.append([without_key, with_key])
            await until_parked(running, [("", 1), ("player:ann", 2)])
        service = mended()
        async with service.run(settings) as running:
            await parking.request_retry(running.views, "points_v1", [""])
            await until_parked(running, [("player:ann", 2)])
            await parking.request_retry(running.views, "points_v1", ["player:ann"])
            await until_parked(running, [])
            (view,) = service.declaration.views
            return [tuple(row) for row in await running.views.select(view.c.key.table.select())]

    assert sorted(asyncio.run(scenario())) == [("ann", 5), ("bob", 100)]
