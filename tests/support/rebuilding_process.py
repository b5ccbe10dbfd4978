"""Rebuilds the views of the tallies again and again, as a process of its own: it is killed by the test that starts it."""

import asyncio
import sys

from tests.support.rebuilt_tallies import tallies
from twofold.service import Settings


async def main(log: str, views: str) -> None:
    async with tallies.run(Settings(log=log, views=views)) as running:
        while True:
            await asyncio.gather(*[running.rebuild(name) for name in tallies.declaration.followers])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
