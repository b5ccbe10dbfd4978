"""A bank whose deposits are told to somebody who never answers, as a process of its own: a test kills it."""

import asyncio
import sys
from pathlib import Path

from examples.bank import Account, Deposited
from twofold import HandlerContext, Service, handle
from twofold.followers import retries
from twofold.limits import FollowerLimits, Limits
from twofold.service import Settings

DELAYS_SECONDS = (1.0, 1.0)


def note(attempt: str) -> None:
    with Path(sys.argv[3]).open("a") as calls:
        calls.write(f"{attempt}\n")


@handle(start="first", policy=retries(immediate=1, delays_seconds=DELAYS_SECONDS))
async def tell(event: Deposited, context: HandlerContext) -> None:
    """Write down each attempt, and fail."""
    note(f"{event.account} {context.attempt}")
    raise ConnectionError("nobody there")


bank = Service("bank", aggregates=[Account], handlers=[tell])


async def main(log: str, views: str, _: str) -> None:
    limits = Limits(followers=FollowerLimits(lease_seconds=0.5))
    async with bank.run(Settings(log=log, views=views, limits=limits), roles=["processes"]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
