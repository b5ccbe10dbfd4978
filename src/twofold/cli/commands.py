"""The commands. What is heavy is imported where it is used, so that ``--help`` is quick."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import click

from twofold.cli.target import Complaint, load, one_service, opened_log, opened_views, run, services

SERVICE = click.option("--service", metavar="NAME", help="Which service, if the target is a system.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("twofold"), prog_name="twofold")
def twofold() -> None:
    """CQRS and event sourcing: run services, see what they do, and mend what is stuck.

    TARGET is `module:name`, a service or a system. Where its databases are is read from the environment: TWOFOLD_LOG,
    TWOFOLD_VIEWS and TWOFOLD_TRANSPORT.
    """


@twofold.command("run")
@click.argument("target")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def run_(target: str, host: str, port: int, log_format: str, log_level: str) -> None:
    """Serve a service or a system over HTTP until SIGTERM, then drain and end within five seconds."""
    from twofold.service import Running
    from twofold.telemetry import configure_logging

    configure_logging(log_format, log_level)
    try:
        from twofold.http import asgi, serve
    except ModuleNotFoundError as error:
        raise Complaint(f"Serving needs the package {error.name}. Install it: pip install 'twofold[http]'.") from error
    served = load(target)

    async def work() -> None:
        async with served.run() as running:
            paths = {running.name: ""} if isinstance(running, Running) else {name: f"/{name}" for name in running}

            def ready(url: str) -> None:
                for name, path in paths.items():
                    click.echo(f"{name} answers at {url}{path}, to be tried at {url}{path}/docs", err=True)

            await serve(asgi(running), host=host, port=port, ready=ready)

    run(work())


@twofold.command()
@click.argument("target")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@JSON
def graph(target: str, as_mermaid: bool, as_json: bool) -> None:
    """Show what leads to what: command, decision, events, followers."""
    from twofold.service.graph import graph as arrows_of
    from twofold.service.graph import mermaid

    arrows = arrows_of([service.declaration for service in services(target)])
    if as_mermaid:
        click.echo(mermaid(arrows))
    elif as_json:
        click.echo(json.dumps([{"source": arrow.source, "target": arrow.target} for arrow in arrows], indent=2))
    else:
        from twofold.cli.output import tree

        tree([(arrow.source, arrow.target) for arrow in arrows])


@twofold.command("log")
@click.argument("target")
@SERVICE
@click.option("--tag", "tags", multiple=True, metavar="NAME:VALUE", help="Only events with this tag (all, if several).")
@click.option("--type", "types", multiple=True, metavar="NAME", help="Only events of this type (any, if several).")
@click.option("--after", default=0, help="Only positions after this one; backwards, before it.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1))
@click.option("--backwards", is_flag=True, help="The newest first.")
@click.option("--follow", is_flag=True, help="Go on with what comes.")
@JSON
def log_(
    target: str, service: str | None, tags: tuple[str, ...], types: tuple[str, ...], after: int, limit: int,
    backwards: bool, follow: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show what happened. It only reads."""
    from twofold.cli.output import print_events
    from twofold.log import Criterion

    criteria = (Criterion(types=types, tags=tags),)

    async def show() -> None:
        async with opened_log(one_service(target, service)) as log:
            position = after
            if not follow:
                print_events(await log.read(criteria, position, limit, backwards=backwards), as_json)
                return
            async for batch in log.follow(criteria, position):
                print_events(batch.events, as_json)

    try:
        run(show())
    except KeyboardInterrupt:
        return


@twofold.group(invoke_without_command=True)
@click.pass_context
def views(context: click.Context) -> None:
    """See how far followers are (`list`), or fill a view again from the first event (`rebuild`)."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@views.command("list")
@click.argument("target")
@SERVICE
@JSON
def list_views(target: str, service: str | None, as_json: bool) -> None:
    """Show each follower's position and how far it is behind."""
    from twofold.cli.output import table

    async def rows() -> list[dict[str, Any]]:
        found = []
        for each in services(target, service):
            async with opened_log(each) as log, opened_views(each) as store:
                head = await log.head()
                for at in await store.progress():
                    lag = head - at.position if not at.follower.startswith("inbox:") else None
                    found.append(
                        {
                            "service": each.name, "follower": at.follower, "position": at.position, "head": head,
                            "lag": lag, "parked": at.parked, "owner": at.owner,
                        }
                    )  # fmt: skip
        return found

    table(run(rows()), as_json)


@views.command()
@click.argument("target")
@click.argument("follower")
@SERVICE
@click.option("--yes", is_flag=True, help="Do not ask.")
def rebuild(target: str, follower: str, service: str | None, yes: bool) -> None:
    """Empty a view's table and fill it again. Until it has caught up, it answers from what it has by then."""
    chosen = one_service(target, service)
    followers = chosen.declaration.followers
    if follower not in followers:
        raise Complaint(f"{chosen.name} has no view {follower!r} to rebuild. There is: {', '.join(followers)}.")
    if not yes:
        click.confirm(f"Empty {', '.join(followers[follower])} and fill it again from the first event?", abort=True)

    async def work() -> None:
        async with opened_views(chosen) as store:
            await store.rewind(follower, followers[follower])

    run(work())
    click.echo(f"{follower} starts again from the first event, in the running service or at its next start.")


@twofold.group()
def parked() -> None:
    """See, retry or discard what followers have set aside."""


@parked.command("list")
@click.argument("target")
@SERVICE
@JSON
def list_parked(target: str, service: str | None, as_json: bool) -> None:
    """Show each parked key: since where, how many events, and why."""
    from twofold.cli.output import table

    async def rows() -> list[dict[str, Any]]:
        found: dict[tuple[str, str, str], dict[str, Any]] = {}
        for each in services(target, service):
            async with opened_views(each) as store:
                for event in await store.parked(limit=100_000):
                    at = (each.name, event.follower, event.lane)
                    row = found.setdefault(
                        at,
                        {
                            "service": each.name, "follower": event.follower, "key": event.lane,
                            "position": event.position, "events": 0, "error": event.error,
                        },
                    )  # fmt: skip
                    row["events"] += 1
        return list(found.values())

    table(run(rows()), as_json)


@parked.command()
@click.argument("target")
@click.argument("follower")
@click.argument("key")
@SERVICE
@JSON
def show(target: str, follower: str, key: str, service: str | None, as_json: bool) -> None:
    """Show the parked events of a key, with their errors."""
    from twofold.cli.output import event_row, table

    async def rows() -> list[dict[str, Any]]:
        chosen = one_service(target, service)
        found = []
        async with opened_log(chosen) as log, opened_views(chosen) as store:
            for each in await store.parked(follower, key):
                (event,) = await log.read(after=each.position - 1, limit=1)
                found.append({**event_row(event), "error": each.error, "attempts": each.attempts})
        return found

    table(run(rows()), as_json)


@parked.command()
@click.argument("target")
@click.argument("follower")
@click.argument("keys", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All keys of the follower.")
@SERVICE
def retry(target: str, follower: str, keys: tuple[str, ...], every: bool, service: str | None) -> None:
    """Have the running service handle the parked events of these keys again, in order."""
    if bool(keys) == every:
        raise Complaint("Name the keys to retry, or give --all.")

    async def work() -> int:
        async with opened_views(one_service(target, service)) as store:
            lanes = list(keys) or sorted({each.lane for each in await store.parked(follower, limit=1_000_000)})
            return await store.request_retry(follower, lanes)

    count = run(work())
    if not count:
        raise Complaint(f"{follower} has parked nothing under these keys. See: twofold parked list {target}")
    click.echo(f"{count} events will be handled again within a second, or when the service starts.")


@parked.command()
@click.argument("target")
@click.argument("follower")
@click.argument("key")
@click.option("--position", default=0, help="Only the event at this position; otherwise all events of the key.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@SERVICE
def discard(target: str, follower: str, key: str, position: int, yes: bool, service: str | None) -> None:
    """Drop parked events for good: the view will be without their effect."""
    if not yes:
        what = f"the event at {position}" if position else "all parked events"
        click.confirm(f"Discard {what} of {key!r} in {follower} for good?", abort=True)

    async def work() -> int:
        async with opened_views(one_service(target, service)) as store:
            count = await store.discard(follower, key, position)
            # Whoever follows looks again, and lets the key flow if nothing of it is left.
            await store.request_retry(follower, [key])
            return count

    count = run(work())
    if not count:
        raise Complaint(f"{follower} has parked nothing like that. See: twofold parked list {target}")
    click.echo(f"{count} events are discarded.")


@twofold.command()
@click.argument("name")
def new(name: str) -> None:
    """Begin a project in a new folder: a service that runs, and a test that passes."""
    from twofold.cli.project import create

    create(name)
