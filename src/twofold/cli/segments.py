"""``twofold segments``: dividing a follower's keys among more processes or fewer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from twofold.cli.target import SERVICE, TARGET, one_service, opened

if TYPE_CHECKING:
    from twofold.service import Service

_FOLLOWER = click.argument("follower")


@click.group(short_help="Divide a follower's work among processes.")
def segments() -> None:
    """Divide the keys of a follower among processes, while they run: of a view, an event handler or a process.

    A follower has one segment of keys, so one process at a time follows it. Split, each segment is followed on its own:
    the processes that are there share them. Every segment reads the log for itself, so more segments than processes cost
    more than they give. `twofold views` shows each.
    """


@segments.command("split")
@TARGET
@_FOLLOWER
@SERVICE
@click.option(
    "--into",
    "parts",
    default=2,
    show_default=True,
    type=click.IntRange(2, 256),
    help="Into how many each segment is cut.",
)
def split_(target: str, follower: str, service: str | None, parts: int) -> None:
    """Cut each segment of a follower into several."""
    count = asyncio.run(_split(one_service(target, service), follower, parts))
    click.echo(f"{follower} has {count} segments now.")


async def _split(service: Service, follower: str, parts: int) -> int:
    from twofold.operations.segments import segments_of, split

    async with opened(service, to_mend=True) as databases:
        await split(databases, follower, parts)
        return await segments_of(databases, follower)


@segments.command("merge")
@TARGET
@_FOLLOWER
@SERVICE
def merge_(target: str, follower: str, service: str | None) -> None:
    """Make one segment of all that a follower has; it is there when this ends."""
    asyncio.run(_merge(one_service(target, service), follower))
    click.echo(f"{follower} has one segment now.")


async def _merge(service: Service, follower: str) -> None:
    from twofold.operations.segments import merge

    async with opened(service, to_mend=True) as databases:
        await merge(databases, follower)
