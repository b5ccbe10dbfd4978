"""``twofold log copy``, ``export`` and ``import``: a log in another place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, SERVICE, TARGET, log_url
from twofold.limits import read_limits

if TYPE_CHECKING:
    from twofold.copies.transfer import CopyResult


@click.command(short_help="Copy a log to another place.")
@TARGET
@click.argument("url")
@SERVICE
@click.option(
    "--compare-new",
    is_flag=True,
    help="Read back only what is copied now: for the last copy, after others were compared.",
)
@JSON
def copy(target: str, url: str, service: str | None, compare_new: bool, as_json: bool) -> None:
    """Copy the log of TARGET to URL with positions, ids and times as they are, and compare the two.

    The service may go on meanwhile. Again, it copies what has come since, or goes on where it was interrupted. Nobody may
    use the copy before it is complete. Snapshots are not copied: the service makes them again.
    """
    from twofold.cli.output import progress_bar
    from twofold.copies.transfer import copy_log

    with progress_bar() as report:
        copying = copy_log(log_url(target, service), url, report, compare_all=not compare_new, limits=read_limits())
        result = asyncio.run(copying)
    _print(result, as_json)


@click.command(short_help="Write a log to a file.")
@TARGET
@click.argument("file", default="-")
@SERVICE
def export(target: str, file: str, service: str | None) -> None:
    """Write the log of TARGET, as it is now, to FILE as lines of JSON; or to the standard output.

    A FILE whose name ends in .gz is compressed. An event is a line as `twofold log --json` prints it.
    """
    from twofold.cli.output import progress_bar
    from twofold.copies.transfer import export_log

    with progress_bar() as report:
        result = asyncio.run(export_log(log_url(target, service), file, report, limits=read_limits()))
    click.echo(f"{result.events} events and {result.processed} ids exported, {result.digest}", err=True)


@click.command("import", short_help="Restore a log from a file.")
@click.argument("file")
@click.argument("url")
@JSON
def import_(file: str, url: str, as_json: bool) -> None:
    """Restore at URL the log that was exported to FILE (-: the standard input), and compare the two.

    Again, it goes on where it was interrupted. Nobody may use the log before it is complete.
    """
    from twofold.cli.output import progress_bar
    from twofold.copies.transfer import import_log

    with progress_bar() as report:
        result = asyncio.run(import_log(file, url, report, limits=read_limits()))
    _print(result, as_json)


def _print(result: CopyResult, as_json: bool) -> None:
    from twofold.cli.output import print_json, print_table

    if as_json:
        print_json(result)
        return
    print_table(
        ["moved now", "equal from", "events", "ids", "digest"],
        [[result.added, result.after + 1, result.events, result.processed, result.digest]],
    )
