"""``twofold timers``: what is to happen later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, SERVICE, TARGET, Complaint, opened, services

if TYPE_CHECKING:
    from twofold.operations.timers import TimerPage
    from twofold.service import Service

_LARGEST_PAGE = 1_000


@click.command(short_help="Show what is to happen later.")
@TARGET
@click.option(
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(1, _LARGEST_PAGE),
    help="At most so many of a service.",
)
@click.option("--after", default="", metavar="CURSOR", help="Go on after an earlier page, which ends with its cursor.")
@SERVICE
@JSON
def timers(target: str, limit: int, after: str, service: str | None, as_json: bool) -> None:
    """Show the timers that are pending: of processes, of delayed commands and of schedules, those first that are due first.

    One that is overdue says that nobody runs in the role `processes`, or that its follower is behind.
    """
    from twofold.cli.output import print_json

    chosen = services(target, service)
    if after and len(chosen) > 1:
        raise Complaint("--after goes on in one service: say which with --service.")
    pages = asyncio.run(_pages(chosen, limit, after))
    if as_json:
        print_json(pages)
    elif any(page.timers for page in pages):
        _print(pages)
    else:
        click.echo("Nothing is to happen later.")


async def _pages(chosen: list[Service], limit: int, after: str) -> list[TimerPage]:
    from twofold.operations.timers import timers as pending_timers

    pages = []
    for each in chosen:
        async with opened(each) as databases:
            pages.append(await pending_timers(databases, limit=limit, after=after))
    return pages


def _print(pages: list[TimerPage]) -> None:
    from twofold.cli.output import print_table

    rows = [
        [each.service, each.due_at, f"{each.overdue_seconds:.0f} s" if each.overdue_seconds else "", each.what, each.id]
        for page in pages
        for each in page.timers
    ]
    print_table(["service", "due", "overdue", "what", "id"], rows)
    for page in pages:
        if page.next:
            click.echo(f"{page.service} has {page.pending} in all: --service {page.service} --after {page.next}")
