"""A process of its own that appends to a log and says, a line each, what was acknowledged: ``position id``.

Half of its callers append to a key that is theirs alone, half to keys that all processes share; each event's data is the
number of events that its caller had seen under the key, which the log must have held it to.
"""

import asyncio
import sys

from twofold.adapters.postgres import PostgresStore
from twofold.clock import SystemClock
from twofold.log import Appended, Criterion, Guard, Log, NewEvent

SHARED_KEYS = 4


async def main(url: str, name: str, callers: int, appends: int) -> None:
    log = await Log.open(PostgresStore(url), SystemClock())
    await asyncio.gather(*(call(log, f"{name}.{number}", number, appends) for number in range(callers)))
    await log.close()


async def call(log: Log, name: str, number: int, appends: int) -> None:
    tag = f"shared:{number % SHARED_KEYS}" if number % 2 else f"own:{name}"
    criteria = (Criterion(tags=(tag,)),)
    seen, last = 0, 0
    for each in range(appends):
        while True:
            new = await log.read(criteria, last)
            seen, last = seen + len(new), new[-1].position if new else last
            event = NewEvent(f"{name}/{each}", "Counted", 1, (tag,), str(seen).encode())
            outcome = await log.append([event], Guard(criteria, last))
            if isinstance(outcome, Appended):
                sys.stdout.write(f"{outcome.last} {event.id}\n")
                sys.stdout.flush()
                break


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
