"""``twofold bridge``: from one transport to another."""

from __future__ import annotations

import asyncio
import logging
import signal

import click

_logger = logging.getLogger("twofold.cli")


@click.command(short_help="Carry what services publish from one transport to another.")
@click.argument("heard", metavar="FROM")
@click.argument("told", metavar="TO")
@click.option("--source", "sources", multiple=True, required=True, help="A service that publishes; may be given again.")
@click.option("--name", default="bridge", show_default=True, help="As what it subscribes.")
@click.option(
    "--views", metavar="URL", help="The database in which it keeps how far it is. [default: sqlite:///NAME.db]"
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def bridge(heard: str, told: str, sources: tuple[str, ...], name: str, views: str | None, log_format: str) -> None:
    """Carry what some services publish from one transport to another, until SIGTERM or Ctrl-C.

    FROM and TO are URLs as in TWOFOLD_TRANSPORT. Positions go with the events, so whoever hears them behind the bridge has
    them in order, and knows what has come before. Several processes may run one bridge: one carries, the others wait.
    """
    from twofold.telemetry import configure_logging

    configure_logging(log_format)
    asyncio.run(_carry(heard, told, sources, name, views or f"sqlite:///{name}.db"))


async def _carry(heard: str, told: str, sources: tuple[str, ...], name: str, views: str) -> None:
    from twofold.limits import read_limits
    from twofold.service.bridge import bridge as carried

    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with carried(name, sources, heard, told, views=views, limits=read_limits()):
        _logger.info("%s carries what %s publish.", name, ", ".join(sources))
        await ending.wait()
    _logger.info("%s ended.", name)
