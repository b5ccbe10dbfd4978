"""``twofold check``: the log against the code."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, SERVICE, TARGET, one_service, services

if TYPE_CHECKING:
    from twofold.compatibility.checking import Checked
    from twofold.log.reading import Report
    from twofold.service import Service

_FOUND = 1


@click.command(short_help="Read every event with this code, and say what would be lost.")
@TARGET
@SERVICE
@click.option("--export", "file", metavar="FILE", help="Check what `twofold log export` has written, and not the log.")
@click.option("--no-fold", is_flag=True, help="Only read the events: aggregates and views are not folded in memory.")
@JSON
def check(target: str, service: str | None, file: str | None, no_fold: bool, as_json: bool) -> None:
    """Read every event of the log with the code at hand, and say what would be lost, parked or wrong.

    The exit code is 1 if there is any such thing: run it on the log, or a copy of it, before new code is deployed. It only
    reads, so the service may go on meanwhile.
    """
    from twofold.cli.output import print_json, progress_bar

    chosen = services(target, service) if file is None else [one_service(target, service)]
    with progress_bar() as report:
        checked = [asyncio.run(_check(each, file, report, fold=not no_fold)) for each in chosen]
    if as_json:
        print_json(checked)
    else:
        for each in checked:
            _print(each)
    if any(each.findings for each in checked):
        sys.exit(_FOUND)


async def _check(service: Service, file: str | None, report: Report, *, fold: bool) -> Checked:
    from twofold.compatibility.checking import Checked, check_events, check_log
    from twofold.copies.transfer import opened_export
    from twofold.operations.databases import opened_log
    from twofold.service import read_settings

    if file is not None:
        with opened_export(file) as (export, pages):
            events = export.events
            found = await check_events(service.declaration, pages, events, report, fold=fold)
    else:
        settings = read_settings(service.name)
        async with opened_log(settings.log, limits=settings.limits) as log:
            events = await log.head()
            found = await check_log(service.declaration, log, report, fold=fold)
    return Checked(service.name, events, found)


def _print(checked: Checked) -> None:
    from twofold.cli.output import printable

    if not checked.findings:
        click.echo(f"{checked.service}: this code reads all of its {checked.events} events as they were written.")
        return
    click.echo(f"{checked.service}: of its {checked.events} events, this code does not read all as they were written.")
    for each in checked.findings:
        amount = f"{each.events} {'key' if each.kind == 'stops' else 'event'}{'s' if each.events > 1 else ''}"
        click.echo()
        click.echo(printable(f"{each.type}, version {each.version}: {each.what}"))
        click.echo(f"    {amount}, first at position {each.position}")
        if each.advice:
            click.echo(f"    {printable(each.advice)}")
