"""The command line: run, look, and mend."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; what it cannot do without is said in one line."""
    try:
        from twofold.cli.commands import twofold
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(f"The command line needs the package {error.name}. Install it: pip install 'twofold[cli]'.")
    twofold(prog_name="twofold")


__all__ = ["main"]
