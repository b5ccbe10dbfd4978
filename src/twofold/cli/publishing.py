"""``twofold publish-again``: publishing again what others have missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from twofold.cli.target import SERVICE, TARGET, one_service, opened

if TYPE_CHECKING:
    from twofold.service import Service


@click.command("publish-again", short_help="Publish everything once more to a broker that has lost some of it.")
@TARGET
@SERVICE
@click.option("--yes", is_flag=True, help="Do not ask.")
def publish_again(target: str, service: str | None, yes: bool) -> None:
    """Publish everything once more, from the first event on, for subscribers that say that something has not come.

    Those who have heard it leave out what comes again. The running service does the work; `twofold views` shows how far
    its follower `relay` is.
    """
    chosen = one_service(target, service)
    if not yes:
        click.confirm(f"Publish everything again that {chosen.name} has published?", abort=True, err=True)
    asyncio.run(_publish_again(chosen))
    click.echo(f"The relay of {chosen.name} begins again with the first event.")


async def _publish_again(service: Service) -> None:
    from twofold.operations.publishing import publish_again

    async with opened(service, to_mend=True) as databases:
        await publish_again(databases)
