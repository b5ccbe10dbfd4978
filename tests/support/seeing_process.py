"""The shop as a process of its own, which is killed by the test that starts it."""

import asyncio
import sys

from tests.support.order_service import shop
from twofold.limits import FollowerLimits, HandlerLimits, Limits
from twofold.service import Settings

# What a killed process followed is not to stand still for long, and what is done again after it is to be little and much.
LIMITS = Limits(followers=FollowerLimits(lease_seconds=0.5), handlers=HandlerLimits(batch_events=16))


async def main(log: str, views: str) -> None:
    async with shop.run(Settings(log=log, views=views, limits=LIMITS)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
