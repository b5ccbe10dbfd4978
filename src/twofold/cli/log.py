"""``twofold log``: what happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, SERVICE, Complaint, one_service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twofold.log import Criteria, Log, Recorded

_EVENTS_PER_READ = 1000


@click.command(short_help="Show what happened.")
@click.argument("target", required=False)
@click.option("--url", help="The log itself, such as sqlite:///bank.db, in place of TARGET.")
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
def log(
    target: str | None, url: str | None, service: str | None, tags: tuple[str, ...], types: tuple[str, ...],
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
    where = _url_of(target, url, service)
    asyncio.run(_show(where, (Criterion(types, tags),), after, limit, backwards, follow, as_json))


def _url_of(target: str | None, url: str | None, service: str | None) -> str:
    from twofold.service import read_settings

    if (target is None) == (url is None):
        raise Complaint("Say whose log: give TARGET, or the log itself with --url sqlite:///bank.db; one of the two.")
    if url is not None:
        return url
    return read_settings(one_service(target or "", service).name).log


async def _show(
    url: str, criteria: Criteria, after: int | None, limit: int, backwards: bool, follow: bool, as_json: bool
) -> None:
    from twofold.service.admin import opened_log

    async with opened_log(url) as log:
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


async def _pages(log: Log, criteria: Criteria, after: int, left: int, backwards: bool) -> AsyncIterator[list[Recorded]]:
    """Yield what was asked for, such that a long log is never in memory as a whole."""
    while left:
        wanted = min(left, _EVENTS_PER_READ)
        events = await log.read(criteria, after, wanted, backwards=backwards)
        yield events
        if len(events) < wanted:
            return
        after, left = events[-1].position, left - wanted


def _print(events: Iterable[Recorded], as_json: bool) -> None:
    from twofold.cli.output import console, event_fields, event_line
    from twofold.messages import encode

    screen = console()
    for event in events:
        if as_json:
            click.echo(encode(event_fields(event)))
        else:
            screen.print(event_line(event), soft_wrap=not screen.is_terminal)
