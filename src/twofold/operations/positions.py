"""How far followers are, as anybody can see who has the databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from twofold.followers import Progress, Segment, checkpoints
from twofold.followers.shadow import shadowed
from twofold.messaging import RELAY, inbox_name
from twofold.operations.databases import Databases


class Position(msgspec.Struct, frozen=True):
    """How far a segment of a follower is.

    ``head`` is the position of the last event in what it follows, and ``lag`` how many events it has yet to look at; None
    where that is the log of a service that is not among those asked for. ``followed_by`` is '' if nobody follows it now.
    ``declared`` is false of what earlier code has left behind. ``parked`` is that of the whole follower.
    """

    service: str
    follower: str
    segment: Segment
    position: int
    head: int | None
    lag: int | None
    parked: int
    followed_by: str
    declared: bool


async def positions(databases: Sequence[Databases]) -> list[Position]:
    """Return how far each follower of each service is; what has never been followed is at 0."""
    heads = {each.service: await each.log.head() for each in databases}
    return [position for each in databases for position in await _positions(each, heads)]


async def position_of(databases: Databases, follower: str) -> int:
    """Return the position up to which all of a follower is, 0 if it has never been followed."""
    return await checkpoints.position(databases.views, follower)


async def _positions(databases: Databases, heads: Mapping[str, int]) -> list[Position]:
    declaration = databases.declaration
    inboxes = {inbox_name(source): source for source in declaration.sources}
    own = [*declaration.followers, *declaration.starts]
    declared = {*own, *declaration.doing, *inboxes, *([RELAY] if declaration.tells else [])}
    found = await checkpoints.progress(databases.views)
    begun = {each.follower for each in found}
    found += [Progress(name, Segment(), 0, "") for name in own if name not in begun]
    return [
        _position(declaration.name, each, heads.get(inboxes.get(each.follower, declaration.name)), declared)
        for each in found
    ]


def _position(service: str, at: Progress, head: int | None, declared: set[str]) -> Position:
    lag = None if head is None else max(0, head - at.position)
    is_declared = at.follower in declared or shadowed(at.follower) in declared
    return Position(service, at.follower, at.segment, at.position, head, lag, at.parked, at.owner, is_declared)
