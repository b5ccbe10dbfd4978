"""The command line: run, look, and mend."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; what it cannot do without is said in one line."""
    from twofold.cli.streams import run

    run(_main, "twofold")


def _main() -> None:
    if sys.argv[1:2] == ["simulate"]:
        _hash_alike()
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


def _hash_alike() -> None:
    """Start this program anew with hashes that all its processes share, so that what goes by a set's order repeats as well."""
    if "PYTHONHASHSEED" not in os.environ:
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, os.environ | {"PYTHONHASHSEED": "0"})  # noqa: S606  # It is this very program.


__all__ = ["main"]
