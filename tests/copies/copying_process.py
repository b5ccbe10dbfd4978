"""Copies a log, or imports one, in small pages, and says after each how far it is; it is made to be killed."""

import asyncio
import sys

from twofold.copies import contents, lines
from twofold.copies.transfer import copy_log, import_log
from twofold.log import reading

# A pipe takes 64 kB: so it is never more than eight pages ahead of whoever reads what it says.
LINE = 8000


def report(what: str, done: int, end: int) -> None:
    print(f"{what} {done}".ljust(LINE), flush=True)


if __name__ == "__main__":
    for module in (reading, lines):
        module.EVENTS_PER_CHUNK = 20  # type: ignore[attr-defined]
    for module in (contents, lines):
        module.IDS_PER_CHUNK = 40  # type: ignore[attr-defined]
    source, target = sys.argv[1:]
    asyncio.run((copy_log if "://" in source else import_log)(source, target, report))
