"""``twofold simulate``: a service in many simulated worlds, until one of them breaks a rule."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, TARGET, Complaint
from twofold.urls import without_password

if TYPE_CHECKING:
    from twofold.cli.simulating import Sum
    from twofold.simulation import Report
    from twofold.simulation.simulate import Simulation

_BROKEN = 1


@click.command(short_help="Look for what breaks in simulated worlds.")
@TARGET
@click.option("--runs", default=1000, show_default=True, type=click.IntRange(1), help="In how many worlds at the most.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="For how long at the most.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="The seed of the first world.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="In how many processes. [default: one for each core]")
@click.option("--plan", metavar="JSON", help="Look at the one world of --seed, by the plan that a report names.")
@click.option(
    "--start",
    multiple=True,
    metavar="[SERVICE=]LOG",
    help="Begin each world with a recorded log: a URL, or a file of `twofold log export`.",
)
@click.option(
    "--before", default="", metavar="MODULE:NAME", help="Begin with this code, and deploy TARGET while it runs."
)
@click.option("--trace", is_flag=True, help="Print all that happens in the one world of --seed.")
@JSON
def simulate(
    target: str,
    runs: int,
    seconds: float | None,
    seed: int,
    jobs: int | None,
    plan: str | None,
    start: tuple[str, ...],
    before: str,
    trace: bool,
    as_json: bool,
) -> None:
    """Run a service or a system in simulated worlds, and look for rules that are broken.

    Each world has several processes, databases and clients in virtual time, and its seed decides what goes wrong: processes
    die, answers are lost, disks are full, clocks jump. All commands and queries are made up from their types: no test has to
    be written, and no database is needed. What is decorated with @invariant in the target's module is checked as well, and
    what is decorated with @scenario there is done among the commands. With --before, the target is deployed while it runs.

    It ends at the first world in which a rule is broken, and prints the shortest history in which it is; the exit code is 1
    then.
    """
    from twofold.cli.simulating import Bounds, in_worlds, simulation_of, subject_of
    from twofold.simulation.plan import read_plan

    subject = subject_of(target, before, start)
    simulation = simulation_of(subject)
    again = command(target, start, before)
    if trace or plan is not None:
        report = simulation.run(seed, None if plan is None else read_plan(plan))
        if trace:
            _print_trace(report, as_json)
        else:
            _print_world(target, again, report, as_json)
        sys.exit(_BROKEN if report.violations else 0)
    summed = in_worlds(subject, Bounds(seed, runs, seconds), jobs or os.cpu_count() or 1)
    if summed.broken is None:
        _print_sum(target, summed, as_json)
    else:
        _print(again, summed.broken, _smallest(simulation, summed), as_json)
        sys.exit(_BROKEN)


def command(target: str, start: Sequence[str], before: str = "") -> str:
    """Return what somebody types to simulate the same, without passwords."""
    logs = [word for each in start for word in ("--start", _without_password(each))]
    return shlex.join(["twofold", "simulate", target, *(["--before", before] if before else []), *logs])


def _without_password(place: str) -> str:
    """Return where a log is, perhaps with the name of its service, as it may be shown."""
    if "://" not in place:
        return place
    service, sign, _ = place.partition("://")[0].rpartition("=")
    return f"{service}{sign}{without_password(place.removeprefix(service + sign))}"


def _smallest(simulation: Simulation, summed: Sum) -> Report:
    """Run the world in which something is broken again, and make it small."""
    from twofold.cli.output import progress_bar

    if summed.broken is None:
        raise AssertionError("nothing is broken")
    report = simulation.run(summed.broken)
    if not report.violations:
        raise Complaint(
            f"Seed {summed.broken} breaks a rule in one process, and not in another: something depends on what is not in "
            f"the messages and states, such as a global, the time of day or the order of a set.\n{summed.violation}"
        )
    with progress_bar() as tell:
        return simulation.smallest(report, lambda done, end: tell("making it small", done, end))


def _print_sum(target: str, summed: Sum, as_json: bool) -> None:
    from twofold.cli.output import print_json

    if as_json:
        print_json(summed)
        return
    faults = ", ".join([f"{name.replace('_', ' ')} {count:,}" for name, count in sorted(summed.faults.items())])
    click.echo(f"{target}: nothing is broken in {summed.runs:,} worlds.")
    click.echo(
        f"    {summed.commands:,} commands, {summed.virtual_seconds:,.0f} s of virtual time, in {summed.seconds:,.1f} s: "
        f"{summed.commands / summed.seconds:,.0f} commands a second"
    )
    click.echo(f"    faults: {faults or 'none'}")


def _print_world(target: str, again: str, report: Report, as_json: bool) -> None:
    from twofold.cli.output import print_json

    if report.violations:
        _print(again, report.seed, report, as_json)
    elif as_json:
        print_json({"broken": None, "seed": report.seed, "commands": report.commands})
    else:
        click.echo(f"{target}: nothing is broken in this world.")


def _print(again: str, found: int, report: Report, as_json: bool) -> None:
    from twofold.cli.output import print_json, printable
    from twofold.simulation.plan import plan_text
    from twofold.simulation.report import as_plain, described

    again = f"{again} --seed {report.seed} --plan {shlex.quote(plan_text(report.plan))}"
    if as_json:
        print_json(as_plain(report, found, again))
    else:
        click.echo("\n".join(map(printable, described(report, found, again).split("\n"))))


def _print_trace(report: Report, as_json: bool) -> None:
    from twofold.cli.output import print_json, printable

    if as_json:
        print_json({"happenings": report.trace.happenings, "violations": report.violations})
        return
    for each in [*report.trace.happenings, *report.violations]:
        click.echo("\n".join(map(printable, str(each).split("\n"))))
