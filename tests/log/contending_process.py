"""Competes with other processes for seats in a SQLite log, and says on standard output what became of each try."""

import asyncio
import sys

from twofold.adapters.sqlite import SqliteStore
from twofold.clock import SystemClock
from twofold.log import Appended, Criterion, Guard, Log, NewEvent, Outcome


async def main(path: str, described_by: str, seats: int) -> None:
    clock = SystemClock()
    log = await Log.open(SqliteStore(path), clock)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(seats):
        taken = NewEvent(clock.new_id(), f"Taken{number}", 1, (f"seat:{number}",), b"{}")
        free = Criterion(types=(taken.type,)) if described_by == "type" else Criterion(tags=taken.tags)
        say("seat", number, await log.append([taken], Guard((free,), after=0)))
        sold = NewEvent(clock.new_id(), "Sold", 1, (f"ticket:{number}",), b"{}")
        say("ticket", number, await log.append([sold, sold], id=f"ticket-{number}"))
        while not isinstance(await count(log, clock), Appended):
            pass
    await log.close()


async def count(log: Log, clock: SystemClock) -> Outcome:
    counters = (Criterion(tags=("counter:1",)),)
    last = await log.read(counters, 0, 1, backwards=True)
    after, value = (last[0].position, int(last[0].data)) if last else (0, 0)
    counted = NewEvent(clock.new_id(), "Counted", 1, ("counter:1",), b"%d" % (value + 1))
    return await log.append([counted], Guard(counters, after))


def say(what: str, number: int, outcome: Outcome) -> None:
    if isinstance(outcome, Appended):
        print(what, number, outcome.first, outcome.last, int(outcome.repeated), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
