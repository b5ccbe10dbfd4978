"""``twofold parked``: what followers have set aside because handling it failed."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from twofold.cli.target import JSON, SERVICE, TARGET, Complaint, one_service, opened, services

if TYPE_CHECKING:
    from twofold.operations.databases import Databases
    from twofold.operations.parked import ParkedEvent, ParkedKey
    from twofold.operations.waves import ParkedGroup
    from twofold.service import Service

_LOOK_AGAIN_SECONDS = 0.1
_STILL_PARKED = 1

_KEY = click.argument("key", required=False)
_FOLLOWER = click.argument("follower")
_REASON = click.option("--reason", default="", help="Why; the log keeps it.")
_BY = click.option("--by", default=getpass.getuser, help="Who does it, as the log keeps it; you, if nobody is named.")


@click.group(short_help="See, retry, discard what failed.")
def parked() -> None:
    """See, retry or discard what followers have set aside.

    An event that a follower cannot handle is parked, and later ones of its KEY queue behind it. A projection has one order
    for all its events, and so no key: leave KEY out.
    """


@parked.command("list")
@TARGET
@SERVICE
@JSON
def list_(target: str, service: str | None, as_json: bool) -> None:
    """Show each parked key: how many events, since when, and why."""
    from twofold.cli.output import print_json, print_table

    found = asyncio.run(_all(services(target, service)))
    if as_json:
        print_json(found)
    elif not found:
        click.echo("Nothing is parked.")
    else:
        columns = ["service", "follower", "key", "events", "first", "parked at", "attempts", "next attempt", "error"]
        rows = [
            [
                each.service,
                each.follower,
                each.key,
                each.events,
                each.position,
                each.parked_at,
                each.attempts,
                each.retry_at or "",
                each.error,
            ]
            for each in found
        ]
        print_table(columns, rows)


async def _all(chosen: list[Service]) -> list[ParkedKey]:
    from twofold.operations.parked import parked_keys

    found: list[ParkedKey] = []
    for each in chosen:
        async with opened(each) as databases:
            found += await parked_keys(databases)
    return found


@parked.command()
@TARGET
@SERVICE
@JSON
def groups(target: str, service: str | None, as_json: bool) -> None:
    """Show what is parked by cause: which keys of a follower failed alike. A group's name is for `retry --group`."""
    from twofold.cli.output import print_json, print_table

    found = asyncio.run(_groups(services(target, service)))
    if as_json:
        print_json(found)
    elif not found:
        click.echo("Nothing is parked.")
    else:
        columns = ["group", "service", "follower", "event", "keys", "events", "since", "error of the first"]
        print_table(
            columns,
            [
                [
                    each.name,
                    each.service,
                    each.follower,
                    each.type,
                    len(each.keys),
                    each.events,
                    each.since,
                    each.error,
                ]
                for each in found
            ],
        )


async def _groups(chosen: list[Service]) -> list[ParkedGroup]:
    from twofold.operations import waves
    from twofold.operations.parked import parked_keys

    found: list[ParkedGroup] = []
    for each in chosen:
        async with opened(each) as databases:
            found += await waves.groups(databases, await parked_keys(databases))
    return found


@parked.command()
@TARGET
@_FOLLOWER
@_KEY
@SERVICE
@JSON
def show(target: str, follower: str, key: str | None, service: str | None, as_json: bool) -> None:
    """Show the parked events of a key, with what went wrong."""
    from twofold.cli.output import console, event_fields, event_line, print_json, printable

    events = asyncio.run(_events(one_service(target, service), follower, key))
    if as_json:
        notes = [{"error": each.error, "attempts": each.attempts, "parked_at": each.parked_at} for each in events]
        print_json([{**event_fields(each.event), **note} for each, note in zip(events, notes, strict=True)])
        return
    screen = console()
    for each in events:
        screen.print(event_line(each.event), soft_wrap=True)
        why = f"failed {each.attempts} times: {each.error}" if each.error else "waits for those before it"
        screen.print(f"{'':11}{printable(why)}", style="red" if each.error else "dim", markup=False, soft_wrap=True)


async def _events(service: Service, follower: str, key: str | None) -> list[ParkedEvent]:
    from twofold.operations.parked import find_parked, parked_events

    async with opened(service) as databases:
        (found,) = await find_parked(databases, follower, () if key is None else [key])
        return await parked_events(databases, found)


@parked.command()
@TARGET
@click.argument("follower", required=False)
@click.argument("keys", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All keys of the follower, or of all followers if none is named.")
@click.option("--group", help="The keys of a group of `twofold parked groups`.")
@click.option("--wait", is_flag=True, help="Wait for the outcome. If no service runs, the events are handled here.")
@click.option("--wave", type=click.IntRange(1), help="So many keys at a time; stop when half of them fail again.")
@click.option("--rate", type=click.FloatRange(0.001), default=100.0, help="With --wave: so many keys in a second.")
@SERVICE
def retry(
    target: str, follower: str | None, keys: tuple[str, ...], every: bool, group: str | None, wait: bool,
    wave: int | None, rate: float, service: str | None,
) -> None:  # fmt: skip
    """Have the parked events of some keys handled again, in order.

    With --wait or --wave the exit code is 1 if one of the keys is parked still.
    """
    if group is not None and (every or follower is not None):
        raise Complaint("Name a group, or a follower and keys, or say --all; not both.")
    if group is not None or wave is not None:
        if follower is None and not every and group is None:
            raise Complaint("Say what to retry: --group, or FOLLOWER and KEY, or --all.")
        asyncio.run(_retry_in_waves(one_service(target, service), follower or "", keys, group, wave, rate))
        return
    if every and keys:
        raise Complaint("Name keys, or say --all; not both.")
    if follower is None and not every:
        raise Complaint("Say what to retry: FOLLOWER and KEY as `twofold parked list` shows them, or --all.")
    asyncio.run(_retry(one_service(target, service), follower or "", keys, every, wait))


async def _retry(service: Service, follower: str, keys: tuple[str, ...], every: bool, wait: bool) -> None:
    from twofold.operations.parked import attempts, find_parked, parked_keys
    from twofold.operations.parked import retry as ask_for_retry

    async with opened(service, to_mend=True) as databases:
        found = await (parked_keys(databases, follower) if every else find_parked(databases, follower, keys))
        before = [await attempts(databases, each) for each in found]
        await ask_for_retry(databases, found)
        if wait:
            await _report(databases, found, before)
        elif found:
            await _announce(databases, found)
        else:
            click.echo("Nothing is parked.")


async def _retry_in_waves(
    service: Service, follower: str, keys: tuple[str, ...], group: str | None, wave: int | None, rate: float
) -> None:
    from twofold.cli.output import progress_bar
    from twofold.operations.waves import retry_in_waves

    async with opened(service, to_mend=True) as databases, AsyncExitStack() as stack:
        found = await _chosen(databases, follower, keys, group)
        if not found:
            click.echo("Nothing is parked.")
            return
        await _follow_all(databases, found, stack)
        with progress_bar() as report:
            async for each in retry_in_waves(databases, found, wave_keys=wave or len(found), keys_per_second=rate):
                last = each
                report("keys", each.through + each.failed, each.keys)
    click.echo(f"{last.through} of {last.keys} keys are through, {last.failed} have failed again.")
    if last.has_stopped:
        click.echo(f"Stopped, as half of the last wave has failed: {last.left} keys were not tried.")
    if last.failed:
        raise click.exceptions.Exit(_STILL_PARKED)


async def _chosen(databases: Databases, follower: str, keys: tuple[str, ...], group: str | None) -> Sequence[ParkedKey]:
    from twofold.operations import waves
    from twofold.operations.parked import find_parked, parked_keys

    if group is None:
        return await (find_parked(databases, follower, keys) if keys else parked_keys(databases, follower))
    found = await waves.groups(databases, await parked_keys(databases))
    for each in found:
        if each.name == group:
            return each.keys
    raise Complaint(f"There is no group {group!r}. There are: {', '.join(each.name for each in found) or 'none'}.")


async def _follow_all(databases: Databases, keys: Sequence[ParkedKey], stack: AsyncExitStack) -> None:
    """See to it that somebody follows, for as long as the stack lasts."""
    from twofold.operations.following import followed, is_followed

    for follower in dict.fromkeys(each.follower for each in keys):
        elsewhere = await is_followed(databases, follower)
        await stack.enter_async_context(followed(databases, follower, elsewhere=elsewhere))


async def _announce(databases: Databases, keys: list[ParkedKey]) -> None:
    from twofold.operations.following import is_followed

    for follower in dict.fromkeys(each.follower for each in keys):
        when = "within a second" if await is_followed(databases, follower) else "when a service follows it again"
        events = sum(each.events for each in keys if each.follower == follower)
        click.echo(f"{follower} handles {events} parked events again {when}.")


async def _report(databases: Databases, keys: list[ParkedKey], before: list[dict[int, int]]) -> None:
    """Wait for the outcome of each key and tell it; exit with 1 if some are parked still."""
    still_parked = 0
    async with AsyncExitStack() as stack:
        await _follow_all(databases, keys, stack)
        for key, attempts in zip(keys, before, strict=True):
            still_parked += await _outcome(databases, key, attempts)
    click.echo(f"{len(keys) - still_parked} of {len(keys)} keys are through.")
    if still_parked:
        raise click.exceptions.Exit(_STILL_PARKED)


async def _outcome(databases: Databases, key: ParkedKey, before: dict[int, int]) -> bool:
    """Wait until a key is through or parked again, and say whether it is parked."""
    from twofold.operations.parked import find_parked, has_failed_again

    while (failed := await has_failed_again(databases, key, before)) is None:
        await databases.clock.sleep(_LOOK_AGAIN_SECONDS)
    if failed:
        (now,) = await find_parked(databases, key.follower, [key.key])
        click.echo(f"{now.follower} {now.key or '(all)'}: parked still, at position {now.position}: {now.error}")
    return failed


@parked.command()
@TARGET
@_FOLLOWER
@_KEY
@click.option("--position", type=click.IntRange(1), help="Only the event at this position, not all of the key.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_REASON
@_BY
@SERVICE
def discard(
    target: str, follower: str, key: str | None, position: int | None, yes: bool, reason: str, by: str,
    service: str | None,
) -> None:  # fmt: skip
    """Drop parked events for good: what follows them will be without their effect. The log keeps them, and who dropped them.

    If one event of several is dropped, the others are handled now.
    """
    asyncio.run(_discard(one_service(target, service), follower, key, position or 0, yes, reason, by))


async def _discard(
    service: Service, follower: str, key: str | None, position: int, yes: bool, reason: str, by: str
) -> None:
    from twofold.operations.parked import discard, find_parked

    async with opened(service, to_mend=True) as databases:
        (found,) = await find_parked(databases, follower, () if key is None else [key])
        what = f"the event at position {position}" if position else f"{found.events} parked events"
        of = f"of {found.key} in {follower}" if found.key else f"of {follower}"
        if not yes:
            click.confirm(f"Drop {what} {of}, so that they never have their effect there?", abort=True, err=True)
        count = await discard(databases, found, position, by=by, reason=reason)
        click.echo(f"{count} of {found.events} parked events {of} are dropped.")


@parked.command()
@TARGET
@_FOLLOWER
@_KEY
@click.option("--position", type=click.IntRange(1), required=True, help="Which event.")
@click.option("--data", required=True, help="The data to handle it with, as JSON; '-' reads it from standard input.")
@_REASON
@_BY
@SERVICE
def edit(
    target: str, follower: str, key: str | None, position: int, data: str, reason: str, by: str, service: str | None
) -> None:
    """Have a parked event handled with other data, and its key retried. The log keeps both, and who changed it."""
    text = sys.stdin.read() if data == "-" else data
    asyncio.run(_edit(one_service(target, service), follower, key, position, text.encode(), reason, by))


async def _edit(
    service: Service, follower: str, key: str | None, position: int, data: bytes, reason: str, by: str
) -> None:
    from twofold.operations.parked import edit, find_parked
    from twofold.operations.parked import retry as ask_for_retry

    async with opened(service, to_mend=True) as databases:
        found = await find_parked(databases, follower, () if key is None else [key])
        await edit(databases, found[0], position, data, by=by, reason=reason)
        await ask_for_retry(databases, found)
        await _announce(databases, found)
