"""``twofold run``: a service or a system over HTTP."""

from __future__ import annotations

import sys

import click

from twofold.cli.target import TARGET, load


@click.command(short_help="Serve over HTTP.")
@TARGET
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is all of them."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Serve in N processes, and restart those that end."
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def run(target: str, host: str, port: int, workers: int | None, log_format: str, log_level: str) -> None:
    """Serve a service or a system over HTTP.

    SIGTERM or Ctrl-C ends it within five seconds: requests that are under way are finished, and nothing new is taken.
    """
    import asyncio

    from twofold.cli.serving import serve_here, tell_where
    from twofold.cli.workers import Options, run_workers

    served = load(target)
    options = Options(target, log_format, log_level)
    options.configure_logging()
    if workers:
        sys.exit(run_workers(options, workers, host, port))
    asyncio.run(serve_here(served, lambda url: tell_where(served, url), host=host, port=port))
