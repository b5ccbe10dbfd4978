"""``twofold processes``: what is under way, what has led to what, and what each instance waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from twofold.cli.target import JSON, SERVICE, TARGET, Complaint, WithDefault, one_service, opened, services

if TYPE_CHECKING:
    from twofold.operations.processes import HistoryEntry, InstanceDetails, InstancePage, InstanceSummary, Status
    from twofold.service import Service

_LARGEST_PAGE = 10_000
_LIMIT = click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, _LARGEST_PAGE), help="At most so many."
)


@click.group(
    cls=WithDefault,
    default="list",
    short_help="Show what is under way, and what it waits for.",
    options_metavar="",
    subcommand_metavar="TARGET | show TARGET ID",
)
def processes() -> None:
    """Show the instances of processes: what they wait for, what they were told of and what has followed from that.

    `twofold processes TARGET` is short for `twofold processes list TARGET`.
    """


@processes.command("list")
@TARGET
@click.option("--process", default="", metavar="NAME", help="Only instances of this process.")
@click.option("--status", type=click.Choice(["running", "ended"]), help="Only those that are running, or have ended.")
@click.option("--waiting-for", default="", metavar="NAME", help="Only those that wait for this command or timer.")
@_LIMIT
@click.option("--after", default="", metavar="CURSOR", help="Go on after an earlier page, which ends with its cursor.")
@SERVICE
@JSON
def list_(
    target: str, process: str, status: Status | None, waiting_for: str, limit: int, after: str, service: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show instances, those first that have not changed for longest, each with what it waits for."""
    from twofold.cli.output import print_json

    chosen = services(target, service)
    if after and len(chosen) > 1:
        raise Complaint("--after goes on in one service: say which with --service.")
    narrowed = {"process": process, "status": status, "waiting_for": waiting_for, "limit": limit, "after": after}
    pages = asyncio.run(_pages(chosen, narrowed))
    if as_json:
        print_json(pages)
    elif any(page.instances for page in pages):
        _print(pages)
    else:
        click.echo("There are none.")


async def _pages(chosen: list[Service], narrowed: dict[str, Any]) -> list[InstancePage]:
    from twofold.operations.processes import instances

    pages = []
    for each in chosen:
        if each.declaration.processes:
            async with opened(each) as databases:
                pages.append(await instances(databases, **narrowed))
    return pages


def _print(pages: list[InstancePage]) -> None:
    from twofold.cli.output import print_table

    columns = ["service", "instance", "status", "since", "waits for", "parked"]
    rows = [
        [each.service, each.id, _status(each), each.changed_at, ", ".join(_awaited(each)), each.parked]
        for page in pages
        for each in page.instances
    ]
    print_table(columns, rows)
    for page in pages:
        if page.next:
            click.echo(f"{page.service} has more: --service {page.service} --after {page.next}")


def _status(summary: InstanceSummary) -> str:
    return "compensating" if summary.compensates else summary.status


def _awaited(summary: InstanceSummary) -> list[str]:
    from twofold.cli.output import shown_time

    if summary.status == "ended":
        return []
    commands = [each.command for each in summary.commands]
    timers = [f"{each.timer} at {shown_time(each.due_at)}" for each in summary.timers]
    return [*commands, *timers] or ["an event"]


@processes.command()
@TARGET
@click.argument("id")
@_LIMIT
@SERVICE
@JSON
def show(target: str, id: str, limit: int, service: str | None, as_json: bool) -> None:
    """Show an instance, ID, such as Fulfilment/order:7: its state, what came in, what went out, what it waits for."""
    from twofold.cli.output import print_json

    details = asyncio.run(_details(one_service(target, service), id, limit))
    if as_json:
        print_json(details)
    else:
        _print_details(details)


async def _details(service: Service, id: str, limit: int) -> InstanceDetails:
    from twofold.operations.processes import instance

    async with opened(service) as databases:
        return await instance(databases, id, limit=limit)


def _print_details(details: InstanceDetails) -> None:
    from twofold.cli.output import print_table, printable, shown_time

    summary = details.summary
    lines = [
        f"{summary.id} of {summary.service}: {_status(summary)}, version {summary.version}",
        f"started    {shown_time(summary.started_at)}",
        f"changed    {shown_time(summary.changed_at)}",
        f"state      {bytes(details.state).decode()}",
        *[f"waits for  {each.command}, sent {shown_time(each.sent_at)}, {each.id}" for each in summary.commands],
        *[f"waits for  {each.timer}, due {shown_time(each.due_at)}" for each in summary.timers],
    ]
    if details.error:
        lines.append(f"parked     {summary.parked} events, the first because of {details.error}")
    for line in lines:
        click.echo(printable(line))
    click.echo()
    if details.has_earlier:
        click.echo("There is more before this: see --limit.")
    columns = ["position", "at", "", "what", "data", "outcome", "because of"]
    print_table(columns, [_row(each) for each in details.history])


def _row(entry: HistoryEntry) -> list[Any]:
    from twofold.cli.output import shown_time

    outcome = f"due {shown_time(entry.due_at)}" if entry.due_at else entry.outcome
    data = "" if bytes(entry.data) == b"null" else bytes(entry.data).decode()
    cause = "" if entry.cause is None else str(entry.cause)
    return [entry.position, entry.at, entry.direction, f"{entry.what} {entry.name}".rstrip(), data, outcome, cause]
