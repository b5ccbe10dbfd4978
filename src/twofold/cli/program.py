"""The command ``twofold``. What is heavy is imported where it is used, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from typing import Any

import click

from twofold.cli.bridge import bridge
from twofold.cli.check import check
from twofold.cli.contracts import contracts
from twofold.cli.graph import graph
from twofold.cli.log import log
from twofold.cli.new import new
from twofold.cli.parked import parked
from twofold.cli.processes import processes
from twofold.cli.publishing import publish_again
from twofold.cli.run import run
from twofold.cli.segments import segments
from twofold.cli.simulate import simulate
from twofold.cli.streams import INTERRUPTED
from twofold.cli.target import Complaint
from twofold.cli.timers import timers
from twofold.cli.views import views
from twofold.cli.waiting import waiting
from twofold.errors import TwofoldError
from twofold.urls import without_passwords


class Program(click.Group):
    """Says in one line what went wrong, and ends quietly when interrupted."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was given."""
        try:
            return super().invoke(ctx)
        except TwofoldError as error:
            raise Complaint(without_passwords(str(error))) from error
        except click.UsageError as error:
            raise click.UsageError(without_passwords(error.format_message()), error.ctx) from None
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"twofold {version('twofold')}")
        context.exit()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def twofold() -> None:
    """CQRS and event sourcing: run services, see what they do, and mend what is stuck.

    TARGET is module:name, a service or a system, as it would be imported from the current folder. Where its databases are
    is read from the environment: TWOFOLD_LOG, TWOFOLD_VIEWS and TWOFOLD_TRANSPORT.
    """


for _command in (
    run,
    graph,
    check,
    contracts,
    log,
    views,
    waiting,
    segments,
    publish_again,
    bridge,
    processes,
    timers,
    parked,
    simulate,
    new,
):
    twofold.add_command(_command)
