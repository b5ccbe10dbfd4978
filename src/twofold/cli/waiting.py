"""``twofold waiting``: what waits, and for how long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, SERVICE, TARGET, opened, services

if TYPE_CHECKING:
    from twofold.operations.waiting import Waiting
    from twofold.service import Service


@click.command(short_help="Show what waits, and for how long.")
@TARGET
@SERVICE
@JSON
def waiting(target: str, service: str | None, as_json: bool) -> None:
    """Show all that waits, with the age of the oldest: that which has waited longest first.

    Events that a follower has not handled, parked keys, timers that are overdue, instances of processes that are running, and
    commands to other services whose outcome is not known. A service that is well shows instances at most.
    """
    from twofold.cli.output import print_json, print_table

    found = asyncio.run(_waiting(services(target, service)))
    if as_json:
        print_json(found)
    elif not found:
        click.echo("Nothing waits.")
    else:
        columns = ["service", "what", "of", "count", "oldest since", "age"]
        rows = [
            [each.service, each.what, each.name, each.count, each.since, f"{each.age_seconds:.0f} s"] for each in found
        ]
        print_table(columns, rows)


async def _waiting(chosen: list[Service]) -> list[Waiting]:
    from twofold.operations import waiting

    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(opened(each)) for each in chosen]
        return await waiting.waiting(databases)
