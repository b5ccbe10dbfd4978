"""``twofold views``: how far followers are; and filling a view again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import click

from twofold.cli.target import JSON, SERVICE, TARGET, WithDefault, one_service, opened, services

if TYPE_CHECKING:
    from twofold.operations.databases import Databases
    from twofold.operations.positions import Position
    from twofold.service import Service

_LOOK_AGAIN_SECONDS = 0.1


@click.group(
    cls=WithDefault,
    default="list",
    short_help="Show how far followers are; rebuild a view.",
    options_metavar="",
    subcommand_metavar="TARGET | rebuild TARGET FOLLOWER",
)
def views() -> None:
    """Show how far each follower is, or fill a view again from the first event.

    `twofold views TARGET` is short for `twofold views list TARGET`.
    """


@views.command("list")
@TARGET
@SERVICE
@JSON
def list_(target: str, service: str | None, as_json: bool) -> None:
    """Show each follower: its position, how far it is behind, what it has parked, and which process follows."""
    from twofold.cli.output import print_json

    found = asyncio.run(_positions(services(target, service)))
    if as_json:
        print_json(found)
    else:
        _print(found)


async def _positions(chosen: list[Service]) -> list[Position]:
    from twofold.operations.positions import positions

    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(opened(each)) for each in chosen]
        return await positions(databases)


def _print(found: list[Position]) -> None:
    from twofold.cli.output import print_table

    columns = ["service", "follower", "position", "head", "lag", "parked", "followed by"]
    rows: list[list[Any]] = [
        [each.service, _name(each), each.position, each.head, each.lag, each.parked, _follower_of(each)]
        for each in found
    ]
    print_table(columns, rows)


def _name(position: Position) -> str:
    segment = position.segment
    if segment == type(segment)():
        return position.follower
    return f"{position.follower} [{segment.low:#x}, {segment.high:#x})"


def _follower_of(position: Position) -> str:
    if not position.followed_by and not position.declared:
        return "nobody: it is not declared any more"
    return position.followed_by or "nobody"


@views.command()
@TARGET
@click.argument("follower")
@SERVICE
@click.option("--in-place", is_flag=True, help="Empty the table first: queries find half of it until it is full again.")
@click.option("--cancel", is_flag=True, help="Give up a rebuilding that is under way.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rebuild(target: str, follower: str, service: str | None, in_place: bool, cancel: bool, yes: bool) -> None:
    """Fill a view again from the first event, beside its table, which answers until the new one takes its place.

    A running service does the work; if none runs, it is done here. To end this command does not end the rebuilding: said
    again, it shows how far that is.
    """
    from twofold.declaration import filled_by

    chosen = one_service(target, service)
    tables = ", ".join(shape.table for shape in filled_by(chosen.declaration, follower))
    if cancel:
        asyncio.run(_cancel(chosen, follower))
        return
    how = f"Empty {tables} of {chosen.name} and fill it again" if in_place else f"Fill {tables} of {chosen.name} again"
    if not yes:
        click.confirm(f"{how} from the first event?", abort=True, err=True)
    asyncio.run(_rebuild(chosen, follower, in_place=in_place))


async def _cancel(service: Service, follower: str) -> None:
    from twofold.operations.rebuilding import cancel_rebuild

    async with opened(service, to_mend=True) as databases:
        await cancel_rebuild(databases, follower)
    click.echo(f"{follower} is not rebuilt any more, and answers as before.")


async def _rebuild(service: Service, follower: str, *, in_place: bool) -> None:
    from twofold.operations.following import followed, is_followed
    from twofold.operations.rebuilding import begin_rebuild, rewind

    async with opened(service, to_mend=True) as databases:
        elsewhere = await is_followed(databases, follower)
        by = f"by the running {service.name}" if elsewhere else "here, as nobody follows it"
        number = 0
        if in_place:
            await rewind(databases, follower)
        elif not (number := await begin_rebuild(databases, follower)):
            by = "already"
        click.echo(f"{follower} is filled again {by}.", err=True)
        async with followed(databases, follower, elsewhere=elsewhere):
            if not in_place:
                await _taken_over(databases, follower, number)
            position = await _caught_up(databases, follower)
    click.echo(f"{follower} has caught up, at position {position}.")


async def _taken_over(databases: Databases, follower: str, number: int) -> None:
    """Show a bar until what is filled anew answers."""
    from twofold.cli.output import progress_bar
    from twofold.operations.rebuilding import rebuilding

    head = await databases.log.head()
    with progress_bar() as report:
        async for position in rebuilding(databases, follower, number):
            report(f"{follower}, anew", position, head)
            await databases.clock.sleep(_LOOK_AGAIN_SECONDS)


async def _caught_up(databases: Databases, follower: str) -> int:
    """Show a bar until a follower is where the log ends now, and return that position."""
    from twofold.cli.output import progress_bar
    from twofold.operations.positions import position_of

    head = await databases.log.head()
    with progress_bar() as report:
        while (position := await position_of(databases, follower)) < head:
            report(follower, position, head)
            await databases.clock.sleep(_LOOK_AGAIN_SECONDS)
        report(follower, position, head)
    return position
