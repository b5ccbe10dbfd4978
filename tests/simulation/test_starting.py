"""A recorded log to start from: what was decided long ago is there, and all rules hold of it as of what comes."""

import asyncio
from pathlib import Path

import pytest

from tests.simulation.garage import Car, Parked, Wash, garage
from tests.simulation.warehouse import system as warehouse
from twofold.copies import export_log
from twofold.errors import DeclarationError, LogUnavailable
from twofold.log import Log, RecordedEvent, recordable
from twofold.service import System
from twofold.service.adapters import clock_of, open_log
from twofold.simulation import Plan, invariant, recorded_events, simulate, simulate_once
from twofold.simulation.releases import releases_of
from twofold.simulation.simulate import Simulation
from twofold.simulation.starting import MOST_EVENTS
from twofold.simulation.workload import Usage
from twofold.simulation.world import World


def parked(*cars: int, ticket: str = "season") -> list[RecordedEvent]:
    """Return a log in which cars are parked with tickets such as are not given any more."""
    events = [recordable(Parked(car=car, ticket=ticket), f"id-{car}", b"{}").new for car in cars]
    return [event.recorded(position, 0) for position, event in enumerate(events, 1)]


def test_a_fault_that_needs_the_past_is_found() -> None:
    """Commands are about the identities of the log, and meet the states that they have there."""
    simulate(garage, runs=10)
    simulation = Simulation(garage, start=parked(4711, 4712))
    found = next(each for each in map(simulation.run, range(10)) if each.violations)
    assert found.violations[0].found == "LookupError('season')"
    smallest = simulation.smallest(found)
    assert smallest.commands == 1
    assert any("sends Wash(car=471" in each.what for each in smallest.trace.happenings)


def test_new_identities_are_there_as_well() -> None:
    """So that something begins, too."""
    reports = [simulate_once(garage, seed, start=parked(*range(1000, 1100)), weights={Wash: 0}) for seed in range(10)]
    about = {each.what.partition("car=")[2][:4] for report in reports for each in report.trace.happenings}
    assert {each for each in about if each.startswith("10")}
    assert {each for each in about if each and not each.startswith("10")}
    assert not [each for report in reports for each in report.violations]


@invariant
def nobody_has_a_season_ticket(car: Car) -> bool:
    """Season tickets are not given any more."""
    return car.ticket != "season"


def test_a_rule_that_the_log_breaks_already_is_told() -> None:
    """With the position in it."""
    report = simulate_once(garage, 0, start=parked(1, 2), weights={Wash: 0}, invariants=[nobody_has_a_season_ticket])
    assert "position 1, after Parked" in report.violations[0].where


def logs_of(system: System) -> dict[str, list[RecordedEvent]]:
    """Return the logs of a system after a while."""
    world = World(releases_of(system, None), 1, Plan(commands=60, identities=20, clients=4), Usage(), [])
    try:
        world.run()
        return {name: disk.events() for name, disk in world.logs.items()}
    finally:
        world.close()


def test_a_system_goes_on_where_its_logs_end() -> None:
    """What was heard is not recorded again, what was not is, and views are filled from all of it."""
    assert simulate(warehouse, runs=3, start=logs_of(warehouse)) >= 300


def test_the_logs_of_a_system_fit_together() -> None:
    """What one has heard, another one has said; a log belongs to a service; and a log begins at its beginning."""
    logs = logs_of(warehouse)
    with pytest.raises(DeclarationError, match="nothing of it in the log of warehouse"):
        simulate(warehouse, start={"office": logs["office"]})
    with pytest.raises(DeclarationError, match=r"there are .*office.*: say start="):
        simulate(warehouse, start=logs["warehouse"])
    with pytest.raises(DeclarationError, match="is for shop, and what is simulated is garage"):
        simulate(garage, start={"shop": parked(1)})
    with pytest.raises(DeclarationError, match="no beginning of a log"):
        simulate(garage, start=parked(1, 2)[1:])


async def stored(url: str, file: str) -> None:
    log = await Log.open(open_log(url, clock_of(None)), clock_of(None))
    await log.store.restore(parked(4711, 4712), [])
    await log.close()
    await export_log(url, file, lambda what, done, end: None)


def test_a_log_is_read_from_where_it_is_or_from_an_export(tmp_path: Path) -> None:
    """Both have the same events."""
    url, file = f"sqlite:///{tmp_path}/garage.db", str(tmp_path / "garage.jsonl.gz")
    asyncio.run(stored(url, file))
    assert recorded_events(url) == parked(4711, 4712)
    assert recorded_events(file) == parked(4711, 4712)
    with pytest.raises(LogUnavailable):
        recorded_events(str(tmp_path / "nothing.jsonl"))


def test_a_log_that_is_too_long_is_told() -> None:
    """Each world folds it anew; any beginning of it will do."""
    with pytest.raises(DeclarationError, match="has 10,001 events, and a simulation begins with 10,000 at the most"):
        simulate(garage, start=parked(*range(MOST_EVENTS + 1)))
