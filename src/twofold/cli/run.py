"""``twofold run``: a service or a system over HTTP."""

from __future__ import annotations

import sys

import click

from twofold.cli.target import TARGET, load
from twofold.service import ROLES, roles_of


@click.command(short_help="Serve over HTTP.")
@TARGET
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is all of them."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([*ROLES, "all"]),
    default=["all"],
    show_default=True,
    help="What this process does; others do the rest. May be given more than once.",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Serve in N processes, and restart those that end."
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def run(
    target: str, host: str, port: int, roles: tuple[str, ...], workers: int | None, log_format: str, log_level: str
) -> None:
    """Serve a service or a system over HTTP.

    The roles: commands decides, queries answers (and writes nothing), followers fills views, relay carries events between
    services and serves the feed. Each serves its health.

    SIGTERM or Ctrl-C ends it within five seconds, unless the limits say otherwise: requests that are under way are finished,
    and nothing new is taken.
    """
    import asyncio

    from twofold.cli.serving import http, serve_here, tell_where
    from twofold.cli.workers import Options, run_workers

    served = load(target)
    options = Options(target, ROLES if "all" in roles else tuple(roles_of(roles)), log_format, log_level)
    options.configure_logging()
    http().check_settings()
    if workers:
        sys.exit(run_workers(options, workers, host, port))
    asyncio.run(serve_here(served, options.roles, lambda url: tell_where(served, url), host=host, port=port))
