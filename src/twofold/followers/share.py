"""Who follows what: how the segments of all followers are spread over the processes that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from twofold.followers.model import Segment


class Seat(msgspec.Struct, frozen=True):
    """A segment and who has it: '' if nobody. One that only waits to be merged is ``closed``: nobody need have it."""

    follower: str
    segment: Segment
    owner: str = ""
    closed: bool = False


class Share(msgspec.Struct, frozen=True):
    """What an owner is to take of what is free, and to leave to others."""

    take: list[Seat]
    leave: list[Seat]


def share(owner: str, ready: Collection[str], seats: Iterable[Seat], present: Mapping[str, Collection[str]]) -> Share:
    """Say what an owner, who is ready to follow some, takes and leaves; ``present`` are the owners ready to follow each.

    It takes a free segment unless somebody else who is ready for it has less to do; it leaves one if somebody else who is
    ready for it has less to do by two or more. So the load evens out without anybody who decides for all, nothing goes to
    and fro, and a process that is there for one follower alone draws it away from those that are there for many.

    >>> names = ["orders", "prices", "stock"]
    >>> everywhere = {name: ["ann", "bob"] for name in names}
    >>> seats = [Seat("orders", Segment(), "ann"), Seat("prices", Segment(), "ann"), Seat("stock", Segment())]
    >>> [seat.follower for seat in share("bob", names, seats, everywhere).take]
    ['stock']
    >>> [seat.follower for seat in share("ann", names, seats[:2], everywhere).leave]
    ['orders']
    """
    seats = list(seats)
    loads = Counter(seat.owner for seat in seats)
    decided = Share([], [])
    for seat in seats:
        others = [other for other in present.get(seat.follower, ()) if other != owner]
        least = min(others, key=loads.__getitem__, default=owner)
        if seat.owner == owner and loads[least] + 2 <= loads[owner]:
            decided.leave.append(seat)
            loads.update({owner: -1, least: 1})
        elif not seat.owner and not seat.closed and seat.follower in ready and loads[owner] <= loads[least]:
            decided.take.append(seat)
            loads[owner] += 1
    return decided
