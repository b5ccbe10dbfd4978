"""Who follows what: how the segments of all followers are spread over the processes that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from twofold.followers.model import Segment


class Assignment(msgspec.Struct, frozen=True):
    """A segment and who has it: '' if nobody. One that only waits to be merged is ``closed``: nobody need have it."""

    follower: str
    segment: Segment
    owner: str = ""
    closed: bool = False


class Reassignment(msgspec.Struct, frozen=True):
    """What an owner is to take of what is free, and to leave to others."""

    take: list[Assignment]
    leave: list[Assignment]


def assign(
    owner: str, ready: Collection[str], assignments: Iterable[Assignment], present: Mapping[str, Collection[str]]
) -> Reassignment:
    """Say what an owner, who is ready to follow some, takes and leaves; ``present`` are the owners ready to follow each.

    It takes a free segment unless somebody else who is ready for it has less to do; it leaves one if somebody else who is
    ready for it has less to do by two or more. So the load evens out without anybody who decides for all, nothing goes to
    and fro, and a process that is there for one follower alone draws it away from those that are there for many.

    >>> names = ["orders", "prices", "stock"]
    >>> everywhere = {name: ["ann", "bob"] for name in names}
    >>> assignments = [Assignment("orders", Segment(), "ann"), Assignment("prices", Segment(), "ann")]
    >>> assignments.append(Assignment("stock", Segment()))
    >>> [each.follower for each in assign("bob", names, assignments, everywhere).take]
    ['stock']
    >>> [each.follower for each in assign("ann", names, assignments[:2], everywhere).leave]
    ['orders']
    """
    assignments = list(assignments)
    loads = Counter(each.owner for each in assignments)
    decided = Reassignment([], [])
    for each in assignments:
        others = [other for other in present.get(each.follower, ()) if other != owner]
        least = min(others, key=loads.__getitem__, default=owner)
        if each.owner == owner and loads[least] + 2 <= loads[owner]:
            decided.leave.append(each)
            loads.update({owner: -1, least: 1})
        elif not each.owner and not each.closed and each.follower in ready and loads[owner] <= loads[least]:
            decided.take.append(each)
            loads[owner] += 1
    return decided
