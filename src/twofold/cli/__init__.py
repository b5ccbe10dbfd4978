"""The command line: run, look, and mend."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; what it cannot do without is said in one line."""
    from twofold.cli.streams import run

    run(_main, "twofold")


def _main() -> None:
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"twofold: the command line needs the package {error.name}. Install it: pip install 'twofold[cli]'\n"
        )
        sys.exit(2)
    from twofold.cli.program import twofold

    twofold(prog_name="twofold")


__all__ = ["main"]
