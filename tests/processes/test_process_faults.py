"""Processes while databases fail, before or after they have stored what they were given."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import msgspec
import pytest

from tests.support.order_service import CancelOrder, Place, shop
from tests.support.process_cases import at_rest, data_of, instances, left_of, parked, records, sent
from tests.support.relay_race import Leg, Race, Ran, Team, TeamId
from tests.support.waiting import until
from twofold import Command, Service, evolve, replace
from twofold.adapters.sqlite import SqliteStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import LogUnavailable, NotFound
from twofold.followers import Checkpoint, parking
from twofold.log import Append, Outcome
from twofold.processes import CommandSettled
from twofold.service import Running, Settings
from twofold.testing import running
from twofold.views import Write

ORDERS = 36


class FailingViews(SqliteViews):
    """Fails each fourth commit of the process: in turn before it is stored and after."""

    commits = 0

    async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
        if not checkpoint.claim.follower.startswith("process:"):
            await super().commit(checkpoint, writes)
            return
        self.commits += 1
        if self.commits % 8 == 4:
            raise LogUnavailable("The views are away before it is stored.")
        await super().commit(checkpoint, writes)
        if self.commits % 8 == 0:
            raise LogUnavailable("The views are away after it is stored.")


class FailingLog(SqliteStore):
    """Fails some batches in which a step is appended: in turn before they are stored and after."""

    writes = 0

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        if not any(each.id.startswith("twofold/process/") for each in batch):
            return await super().write(batch, recorded_at_us, meanwhile=meanwhile)
        self.writes += 1
        if self.writes % 10 == 5:
            raise LogUnavailable("The log is away before it is stored.")
        outcomes = await super().write(batch, recorded_at_us, meanwhile=meanwhile)
        if self.writes % 10 == 0:
            raise LogUnavailable("The log is away after it is stored.")
        return outcomes


async def send(started: Running, command: Command, id: str) -> None:
    """Send a command, which may share a commit with what fails, until it is done."""
    while True:
        try:
            await started.send(command, id=id)
        except LogUnavailable:
            continue
        return


@pytest.mark.parametrize("failing", ["views", "log"])
def test_every_order_ends_once_whatever_fails(tmp_path: Path, failing: str) -> None:
    """What was appended and is not known is recognised by its id; what was stored and is not known is not folded twice."""
    views, log = str(tmp_path / "views.db"), str(tmp_path / "shop.db")
    clock = SystemClock()

    async def scenario() -> None:
        at_log = FailingLog(log) if failing == "log" else SqliteStore(log)
        at_views = FailingViews(views, clock) if failing == "views" else SqliteViews(views, clock)
        async with running(shop, log=at_log, views=at_views) as started:
            for order in range(ORDERS):
                await send(started, Place(order=str(order), units=1 + order % 12), f"place {order}")
                if order % 5 == 0:
                    await send(started, CancelOrder(order=str(order)), f"cancel {order}")
            await at_rest(started)
            assert await parked(started) == []
            assert getattr(at_log, "writes", 0) + getattr(at_views, "commits", 0) > 10
            closed = {each["order"]: each["status"] for each in await data_of(started.log, "Closed")}
            assert Counter(each["order"] for each in await data_of(started.log, "Closed")) == {
                str(order): 1 for order in range(ORDERS)
            }
            left = await left_of(started.log)
            for order in range(ORDERS):
                units = 1 + order % 12 if closed[str(order)] == "shipped" else 0
                assert left[str(order)] == (units, units), order
            ids = [id for id, _ in await sent(started.log)]
            assert Counter(each.id for each in await records(started.log, CommandSettled)) == dict.fromkeys(ids, 1)

    asyncio.run(scenario())


def test_now_is_when_the_service_is_first_opened(tmp_path: Path) -> None:
    """What came before it is nobody's concern; what is sent right after the start is, whoever comes to follow."""

    class FromNow(Race, name="Race", key=TeamId, start="now", missing="ignore", ended="ignore"):
        pass

    before, after = Service("race", aggregates=[Team]), Service("race", aggregates=[Team], processes=[FromNow])

    async def scenario() -> None:
        async with running(before, tmp_path) as started:
            await started.send(Leg(team="early"))
        async with running(after, tmp_path) as started:
            await started.send(Leg(team="late"))
            await at_rest(started)
            found = await instances(started, "Race/team:early", "Race/team:late")
            assert [each.key for each in found] == ["Race/team:late"]
        lost = Settings(log=f"sqlite:///{tmp_path}/race.db", views="memory:")
        async with after.run(lost) as started:
            await at_rest(started)
            assert await instances(started, "Race/team:early", "Race/team:late") == found

    asyncio.run(scenario())


def test_a_process_is_not_done_again(tmp_path: Path) -> None:
    """It fills no view: its instances are what they are, and what it has sent is sent."""

    async def scenario() -> None:
        async with running(shop, tmp_path) as started:
            with pytest.raises(
                NotFound, match="process:Fulfilment fills no view, and what it has done and sent is not done again"
            ):
                await started.rebuild("process:Fulfilment")

    asyncio.run(scenario())


class CountingLog(SqliteStore):
    """Counts the batches in which a step is appended."""

    writes = 0

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        self.writes += any(each.id.startswith("twofold/process/") for each in batch)
        return await super().write(batch, recorded_at_us, meanwhile=meanwhile)


def test_the_steps_of_a_batch_share_commits(tmp_path: Path) -> None:
    """Also those of one instance, each of which is made on what the one before it has come to."""
    events = 200

    async def scenario() -> None:
        async with running(Service("race", aggregates=[Team]), tmp_path) as started:
            await asyncio.gather(*[started.send(Leg(team="a")) for _ in range(events)])
        at_log = CountingLog(str(tmp_path / "race.db"))
        race = Service("race", aggregates=[Team], processes=[Race])
        async with running(race, log=at_log, views=f"sqlite:///{tmp_path}/views.db") as started:
            await at_rest(started)
            (row,) = await instances(started, "Race/team:a")
            assert msgspec.json.decode(row.state)["legs"] == events
            assert [command for _, command in await sent(started.log)] == ["Cheer"] * events
        assert at_log.writes < events / 10

    asyncio.run(scenario())


BROKEN: set[str] = set()


class Stumbling(Race, name="Race", key=TeamId, start="first", missing="park", ended="start"):
    @evolve
    def ran(self, event: Ran) -> Self:
        if event.team in BROKEN:
            raise ZeroDivisionError("no way on")
        return replace(self, legs=self.legs + 1)


def test_one_instance_that_fails_stops_no_other(tmp_path: Path) -> None:
    """It is parked at once, as the same step would fail again; when the code is mended, it goes on where it stood."""

    async def legs(started: Running, team: str) -> int:
        found = await instances(started, f"Race/team:{team}")
        return int(msgspec.json.decode(found[0].state)["legs"]) if found else 0

    async def is_free(started: Running) -> bool:
        return not await parked(started)

    async def scenario() -> None:
        async with running(Service("race", aggregates=[Team], processes=[Stumbling]), tmp_path) as started:
            BROKEN.add("a")
            for team in ("a", "b", "a", "b"):
                await started.send(Leg(team=team))
            await at_rest(started)
            first, second = await parked(started)
            assert (first.key, first.attempts, first.retry_at_us) == ("team:a", 1, 0)
            assert "ZeroDivisionError: no way on" in first.error
            assert second.error == ""
            assert (await legs(started, "a"), await legs(started, "b")) == (0, 2)
            BROKEN.clear()
            await parking.request_retry(started.views, "process:Race", ["team:a"])
            await until(lambda: is_free(started))
            await at_rest(started)
            assert await legs(started, "a") == 2

    asyncio.run(scenario())
