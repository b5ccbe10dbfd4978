"""``twofold log``: what happened, and moving it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from twofold.cli.copies import copy, export, import_
from twofold.cli.target import JSON, SERVICE, TARGET, Complaint, WithDefault, log_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twofold.log import Criteria, Log, RecordedEvent

_EVENTS_PER_READ = 1000


@click.group(
    cls=WithDefault,
    default="show",
    short_help="Show what happened; copy, export, import.",
    options_metavar="",
    subcommand_metavar="TARGET | copy TARGET URL | export TARGET [FILE] | import FILE URL",
)
def log() -> None:
    """Show what happened, or move a log to another place.

    `twofold log TARGET` is short for `twofold log show TARGET`. TARGET is a service, or the URL of a log itself, such as
    sqlite:///bank.db.
    """


@log.command()
@TARGET
@SERVICE
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME:VALUE", help="Only events with this tag; with all, if several."
)
@click.option("--type", "types", multiple=True, metavar="NAME", help="Only events of this type; of any, if several.")
@click.option(
    "--after",
    type=click.IntRange(0),
    metavar="POSITION",
    help="Begin behind this position (backwards: before it). Otherwise the last events are shown.",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="At most so many; 0 for all.")
@click.option("--backwards", is_flag=True, help="The newest first.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@JSON
def show(
    target: str, service: str | None, tags: tuple[str, ...], types: tuple[str, ...],
    after: int | None, limit: int, backwards: bool, follow: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show what happened: the last events, or those after a position; with --json one complete event a line.

    It only reads: nothing is written, and no writer waits for it.
    """
    from twofold.log import Criterion

    if backwards and follow:
        raise Complaint("--backwards ends at the first event, and --follow never ends. Leave one of them out.")
    for tag in tags:
        if ":" not in tag:
            raise Complaint(f"--tag {tag}: a tag is written name:value, such as account:ann.")
    asyncio.run(_show(log_url(target, service), (Criterion(types, tags),), after, limit, backwards, follow, as_json))


async def _show(
    url: str, criteria: Criteria, after: int | None, limit: int, backwards: bool, follow: bool, as_json: bool
) -> None:
    from twofold.limits import read_limits
    from twofold.operations.databases import opened_log

    async with opened_log(url, limits=read_limits()) as log:
        head = await log.head()
        if after is None and limit and not backwards:
            _print(reversed(await log.read(criteria, head + 1, limit, backwards=True)), as_json)
            after = head
        elif not follow:
            async for events in _pages(log, criteria, after or 0, limit or head, backwards):
                _print(events, as_json)
        if follow:
            async for batch in log.follow(criteria, after or 0):
                _print(batch.events, as_json)


async def _pages(
    log: Log, criteria: Criteria, after: int, left: int, backwards: bool
) -> AsyncIterator[list[RecordedEvent]]:
    """Yield what was asked for, such that a long log is never in memory as a whole."""
    while left:
        wanted = min(left, _EVENTS_PER_READ)
        events = await log.read(criteria, after, wanted, backwards=backwards)
        yield events
        if len(events) < wanted:
            return
        after, left = events[-1].position, left - wanted


def _print(events: Iterable[RecordedEvent], as_json: bool) -> None:
    from twofold.cli.output import console, event_line
    from twofold.copies.lines import event_json

    screen = console()
    for event in events:
        if as_json:
            click.echo(event_json(event))
        else:
            screen.print(event_line(event), soft_wrap=not screen.is_terminal)


for _command in (copy, export, import_):
    log.add_command(_command)
