"""Appends to a SQLite log until it is killed, and says on standard output what was acknowledged."""

import asyncio
import sys

from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.log import Appended, Log, NewEvent


async def main(path: str, name: str) -> None:
    clock = SystemClock()
    log = await Log.open(SqliteStore(path), clock)

    async def caller(number: int) -> None:
        for turn in range(1_000_000):
            append_id = f"{name}-{number}-{turn}"
            events = [NewEvent(clock.new_id(), "Noted", 1, (f"append:{append_id}",), b"{}") for _ in range(2)]
            outcome = await log.append(events, id=append_id)
            assert isinstance(outcome, Appended)
            print(append_id, outcome.first, outcome.last, flush=True)

    await asyncio.gather(*[caller(number) for number in range(8)])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
