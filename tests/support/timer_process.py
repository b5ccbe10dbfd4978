"""The reminders as a process of its own, which follows and may be killed by whoever starts it."""

import asyncio
import sys

from tests.support.timer_service import reminders
from twofold.service import Settings


async def main(log: str, views: str) -> None:
    async with reminders.run(Settings(log=log, views=views), roles=["processes"]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
