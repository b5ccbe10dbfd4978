"""``twofold simulate``: a service in many simulated worlds, until one of them breaks a promise."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, TARGET, load

if TYPE_CHECKING:
    from twofold.cli.simulating import Sum

_BROKEN = 1


@click.command(short_help="Look for what breaks in simulated worlds.")
@TARGET
@click.option("--runs", default=1000, show_default=True, type=click.IntRange(1), help="In how many worlds at the most.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="For how long at the most.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="The seed of the first world.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="In how many processes at a time. [default: one a core]"
)
@click.option("--trace", is_flag=True, help="Print all that happens in the one world of --seed.")
@JSON
def simulate(
    target: str, runs: int, seconds: float | None, seed: int, jobs: int | None, trace: bool, as_json: bool
) -> None:
    """Run a service or a system in simulated worlds, and look for promises that are broken.

    Each world has several processes, databases and clients in virtual time, and its seed decides what goes wrong: processes
    die, answers are lost, disks are full, clocks jump. All commands and queries are made up from their types; no test has to
    be written, and no database is needed.

    It ends at the first world in which something is not as it should be, and prints what; the exit code is 1 then.
    """
    from twofold.cli.output import print_json, printable
    from twofold.cli.simulating import Bounds, in_worlds
    from twofold.simulation import simulate_once

    simulated = load(target)
    if not trace:
        summed = in_worlds(target, Bounds(seed, runs, seconds), jobs or os.cpu_count() or 1)
        if summed.broken is None:
            print_json(summed) if as_json else _print(target, summed)
            return
        seed = summed.broken
    report = simulate_once(simulated, seed)
    if as_json:
        print_json({"seed": report.seed, "violations": report.violations})
    else:
        click.echo("\n".join(map(printable, str(report.trace if trace else report).split("\n"))))
    if report.violations:
        sys.exit(_BROKEN)


def _print(target: str, summed: Sum) -> None:
    click.echo(f"{target}: nothing is broken in {summed.runs:,} worlds.")
    click.echo(
        f"    {summed.commands:,} commands, {summed.virtual_seconds:,.0f} s of virtual time, in {summed.seconds:,.1f} s: "
        f"{summed.commands / summed.seconds:,.0f} commands a second"
    )
