"""People who read, and send what follows: what no made-up command comes to, a scenario does."""

import asyncio
import re

import pytest

from examples.shop import shop
from tests.simulation.garage import Car, Leave, Park, PlaceOf, Refused, garage
from tests.simulation.warehouse import LevelOf, Stock
from tests.simulation.warehouse import system as warehouse
from twofold import Receipt
from twofold.errors import DeclarationError, InvalidMessage
from twofold.simulation import Chance, Client, Faults, invariant, read_plan, scenario, simulate, simulate_once
from twofold.simulation.plan import plan_text
from twofold.simulation.simulate import Simulation

SEEDS = range(20)


@invariant
def a_car_leaves_once(car: Car) -> bool:
    """Who has left is not there."""
    return car.times_left <= 1


@scenario
async def parks_and_leaves(garage: Client, chance: Chance) -> None:
    park = garage.make(Park)
    try:
        await garage.send(park)
    except Refused:
        return
    place = await garage.ask(PlaceOf(car=park.car))
    assert place is not None
    for _ in range(1 + chance.below(2)):
        await asyncio.sleep(chance.between(0, 1))
        await garage.send(Leave(car=park.car, ticket=place.ticket))


def test_a_fault_that_only_a_scenario_comes_to_is_found() -> None:
    """As the ticket has to be read; made-up commands do not guess it. It is made small, and repeats."""
    simulate(garage, runs=len(SEEDS), invariants=[a_car_leaves_once])
    simulation = Simulation(garage, [a_car_leaves_once], scenarios=[parks_and_leaves])
    found = next(each for each in map(simulation.run, SEEDS) if each.violations)
    assert found.violations[0].rule == "The invariant a_car_leaves_once holds."
    smallest = simulation.smallest(found)
    assert (smallest.scenarios, smallest.commands, smallest.faults) == (1, 3, {})
    again = simulation.run(smallest.seed, read_plan(plan_text(smallest.plan)))
    assert str(again.trace) == str(smallest.trace)


def test_an_assertion_says_how_many_scenarios_there_were() -> None:
    """In the shortest history, beside the commands that are needed."""
    with pytest.raises(AssertionError, match=r"\(1 scenario, 1 client, 1 process, no faults\)"):
        simulate(garage, invariants=[a_car_leaves_once], scenarios=[parks_and_leaves])


def test_scenarios_are_the_same_for_the_same_seed() -> None:
    """With all that they draw, and whatever goes wrong around them."""
    faults = Faults(latency_seconds=0.01, death=0.001, unknown_outcome=0.05, cancelled_caller=0.1)
    first, second = (simulate_once(garage, 3, faults=faults, scenarios=[parks_and_leaves]) for _ in range(2))
    assert first.scenarios > 0
    assert str(first.trace) == str(second.trace)


@scenario
async def only_parks(garage: Client) -> None:
    await garage.send(garage.make(Park))


def test_what_goes_wrong_around_a_scenario_is_not_its_fault() -> None:
    """What is not known is sent again under its id; a scenario that is rejected or not answered ends, and that is all."""
    faults = Faults(latency_seconds=0.01, death=0.005, refused_write=0.2, unknown_outcome=0.2, cancelled_caller=0.3)
    reports = [simulate_once(garage, seed, faults=faults, scenarios=[only_parks]) for seed in range(5)]
    assert not [each for report in reports for each in report.violations]
    sent = [each.what for report in reports for each in report.trace.happenings if "sends Park" in each.what]
    ids = [what.rpartition(" as ")[2] for what in sent]
    assert any(id.endswith(".1") and ids.count(id) > 1 for id in ids)


@scenario
async def believes_to_be_alone(garage: Client) -> None:
    """It takes for granted that nobody else is there."""
    park = garage.make(Park)
    before = await garage.ask(PlaceOf(car=park.car))
    assert before is None, before


def test_an_assertion_of_a_scenario_is_a_rule() -> None:
    """And whoever made it is told which, and what was found."""
    with pytest.raises(AssertionError) as told:
        simulate(garage, scenarios=[believes_to_be_alone, parks_and_leaves])
    text = str(told.value)
    assert "breaks a rule: A scenario comes to its end." in text
    assert "believes_to_be_alone, by client" in text
    assert re.search(r"fails in believes_to_be_alone: AssertionError\(.*Place\(key=", text)


@scenario
async def waits_for_good(garage: Client) -> None:
    await asyncio.Event().wait()


def test_a_scenario_that_does_not_end_is_told() -> None:
    """After ten minutes of virtual time, as the world would go on for good."""
    violation = simulate_once(
        garage, 0, commands=4, weights={waits_for_good: 9}, scenarios=[waits_for_good]
    ).violations[0]
    assert (violation.rule, violation.found) == ("A scenario comes to its end.", "TimeoutError()")


@scenario
async def sends_what_does_not_fit(garage: Client) -> None:
    with pytest.raises(InvalidMessage):
        await garage.send(Park(car="no number"))  # type: ignore[arg-type]


def test_a_scenario_is_told_what_does_not_fit() -> None:
    """As whoever calls the service is."""
    assert simulate_once(garage, 1, scenarios=[sends_what_does_not_fit]).violations == []


seen: list[tuple[Receipt, object]] = []


@scenario
async def stocks_and_looks(warehouse: Client, office: Client) -> None:
    stock = warehouse.make(Stock, units=3)
    seen.append((await warehouse.send(stock), await office.ask(LevelOf(sku=stock.sku))))


def test_a_scenario_reads_what_it_has_written_also_in_another_service() -> None:
    """It remembers its receipts: an answer includes what was sent before."""
    report = simulate_once(warehouse, 0, faults=Faults(), scenarios=[stocks_and_looks], weights={stocks_and_looks: 5})
    assert report.violations == []
    assert seen
    assert all(receipt.service == "warehouse" and level is not None for receipt, level in seen)


def test_a_scenario_says_what_it_uses() -> None:
    """Else nobody would know with what to call it."""
    with pytest.raises(DeclarationError, match="is no async function whose annotations say"):
        scenario(lambda bank: None)  # type: ignore[arg-type,return-value]

    async def unclear(bank: Client, car: int) -> None: ...

    with pytest.raises(DeclarationError, match=r"unclear.*is no async function whose annotations say"):
        scenario(unclear)
    with pytest.raises(DeclarationError, match="uses warehouse, office, and what is simulated is garage"):
        simulate(garage, scenarios=[stocks_and_looks])
    with pytest.raises(DeclarationError, match="uses garage, and what is simulated is "):
        simulate(shop, scenarios=[only_parks])
    with pytest.raises(DeclarationError, match="not decorated with @scenario"):
        simulate(garage, scenarios=[only_parks.function])  # type: ignore[list-item]


def test_what_a_client_makes_has_what_was_said() -> None:
    """The rest is made up from the type."""
    made: list[Leave] = []

    @scenario
    async def makes(garage: Client) -> None:
        made.append(garage.make(Leave, ticket="mine"))

    simulate_once(garage, 0, scenarios=[makes])
    assert {each.ticket for each in made} == {"mine"}
    assert len({each.car for each in made}) > 1
