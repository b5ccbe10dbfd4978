"""What followers have set aside: looking at it, having it tried again, dropping it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

import msgspec

from twofold.clock import moment
from twofold.declaration import Declaration, check_filled, known_events
from twofold.errors import InvalidMessage, NotFound, NotNow
from twofold.followers import EventDiscarded, EventEdited, Parked, parking
from twofold.followers.mending import parked_id
from twofold.followers.shadow import shadowed
from twofold.log import RecordedEvent, recordable
from twofold.messages import Event, Metadata, decode, encode, reader
from twofold.operations.databases import Databases
from twofold.processes import CommandSent


class ParkedKey(msgspec.Struct, frozen=True):
    """The parked events of one key of a follower: how many, the position and failure of the first, and since when.

    ``key`` is '' for the one order that all events of a projection have. ``retry_at`` is when the first is tried again by
    itself, if it is.
    """

    service: str
    follower: str
    key: str
    events: int
    position: int
    error: str
    attempts: int
    parked_at: datetime
    retry_at: datetime | None = None


class ParkedEvent(msgspec.Struct, frozen=True):
    """A parked event, and what the log has of it. ``error`` is '' if it only waits for an earlier one of its key."""

    event: RecordedEvent
    error: str
    attempts: int
    parked_at: datetime


async def parked_keys(databases: Databases, follower: str = "") -> list[ParkedKey]:
    """Return what is parked, by follower and key."""
    keys: dict[tuple[str, str], list[Parked]] = {}
    for each in await parking.parked(databases.views, follower):
        keys.setdefault((each.follower, each.key), []).append(each)
    return [
        ParkedKey(
            databases.service, first.follower, first.key, len(rest) + 1, first.position, first.error, first.attempts,
            moment(first.parked_at_us), moment(first.retry_at_us) if first.retry_at_us else None,
        )
        for first, *rest in keys.values()
    ]  # fmt: skip


async def find_parked(databases: Databases, follower: str, keys: Sequence[str] = ()) -> list[ParkedKey]:
    """Return the parked keys that are named, or the only one of the follower if none is.

    Raises:
        NotFound: the follower has not parked one of them, or none is named and it has several; the text lists them.
    """
    parked = {each.key: each for each in await parked_keys(databases, follower)}
    if not parked:
        others = dict.fromkeys(each.follower for each in await parked_keys(databases))
        elsewhere = f" It is {' and '.join(others)} that has." if others else ""
        raise NotFound(f"{follower} of {databases.service} has parked nothing.{elsewhere}")
    if not keys and len(parked) > 1:
        raise NotFound(f"{follower} has parked {len(parked)} keys: say which. {_some(parked)}")
    for key in keys:
        if key not in parked:
            raise NotFound(f"{follower} has parked nothing of {key!r}. {_some(parked)}")
    return [parked[key] for key in keys] if keys else list(parked.values())


def _some(parked: Mapping[str, ParkedKey]) -> str:
    listed = ", ".join(key or "''" for key in list(parked)[:10])
    return f"Parked are {listed}{' and more' if len(parked) > 10 else ''}."


async def parked_events(databases: Databases, key: ParkedKey) -> list[ParkedEvent]:
    """Return the parked events of a key, in order, as the log has them."""
    found = []
    for each in await _parked_of(databases, key):
        (event,) = await databases.log.read(after=each.position - 1, limit=1)
        found.append(ParkedEvent(event, each.error, each.attempts, moment(each.parked_at_us)))
    return found


async def _parked_of(databases: Databases, key: ParkedKey) -> list[Parked]:
    # To the store, the key '' means any.
    found = await parking.parked(databases.views, key.follower, key.key)
    return [each for each in found if each.key == key.key]


async def attempts(databases: Databases, key: ParkedKey) -> dict[int, int]:
    """Return how often each parked event of a key was tried, by position."""
    return {each.position: each.attempts for each in await _parked_of(databases, key)}


async def retry(databases: Databases, keys: Sequence[ParkedKey]) -> None:
    """Ask whoever follows to handle the parked events of some keys again; it does so within a second.

    Raises:
        NotFound: the code at hand has no such follower; then nothing is asked for.
    """
    followers = dict.fromkeys(each.follower for each in keys)
    for follower in followers:
        check_filled(databases.declaration, follower)
    for follower in followers:
        await parking.request_retry(databases.views, follower, [each.key for each in keys if each.follower == follower])


async def has_failed_again(databases: Databases, key: ParkedKey, before: Mapping[int, int]) -> bool | None:
    """Say whether a key that was retried is parked still, or None while its events are being handled.

    ``before`` are the `attempts` from before the retry.
    """
    left = await _parked_of(databases, key)
    if not left:
        return False
    return True if left[0].attempts > before.get(left[0].position, 0) else None


async def discard(databases: Databases, key: ParkedKey, position: int = 0, *, by: str = "", reason: str = "") -> int:
    """Drop one parked event of a key, or all (0), for good, and return how many that was.

    The log keeps what was dropped, by whom and why. If it is the event that failed, whoever follows handles what is left of
    the key within a second.

    Raises:
        NotFound: there is no parked event at the position.
    """
    dropped = [each for each in await _parked_of(databases, key) if position in (0, each.position)]
    if not dropped:
        raise NotFound(f"{key.follower} has parked no event at position {position} of {key.key!r}.")
    # It is told first: what is not dropped after all is told twice, and nothing is dropped that is not told.
    records = [
        EventDiscarded(
            parked=parked_id(key.follower, each.position), key=key.key, error=each.error, by=by, reason=reason
        )
        for each in dropped
    ]
    await _record(databases, records, by)
    return await parking.discard(databases.views, key.follower, key.key, position)


async def edit(
    databases: Databases, key: ParkedKey, position: int, data: bytes, *, by: str = "", reason: str = ""
) -> None:
    """Have a parked event handled for a key as if it had other data; then `retry` the key.

    The log keeps the event as it is, and beside it the data, who has given it and why. The data is of the version in which the
    event was written. Views are not among those for whom that can be done: they are filled again from what the log has.

    Raises:
        NotFound: there is no parked event at the position, or nothing in the code reads it.
        NotNow: it is a view's.
        InvalidMessage: the data does not fit the event's class, or is another command's; the text names the field.
    """
    if key.follower in databases.declaration.followers or shadowed(key.follower):
        raise NotNow(
            f"{key.follower} fills a view, which is a fold of what the log has: an event that was changed for it alone would "
            "come back as it is when the view is filled anew. Mend the @evolve, or add an @upcast to the event."
        )
    if position not in [each.position for each in await _parked_of(databases, key)]:
        raise NotFound(f"{key.follower} has parked no event at position {position} of {key.key!r}.")
    (event,) = await databases.log.read(after=position - 1, limit=1)
    kind = known_events(databases.declaration).get(event.type)
    if kind is None:
        raise NotFound(f"Nothing in the code of {databases.service} reads {event.type}, so its data cannot be checked.")
    _check_fits(databases.declaration, kind, event, data)
    record = EventEdited(
        parked=parked_id(key.follower, position), key=key.key, data=msgspec.Raw(data), by=by, reason=reason
    )
    await _record(databases, [record], by)


def _check_fits(declaration: Declaration, kind: type[Event], event: RecordedEvent, data: bytes) -> None:
    read = reader(kind, event.version)
    try:
        edited = read(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMessage(f"{event.type}: {error}") from error
    if not isinstance(edited, CommandSent):
        return
    if _known_by(edited) != _known_by(cast("CommandSent", read(event.data))):
        raise InvalidMessage(
            f"{event.type}: of a command that was sent, only its data can be changed, as whoever sent it knows it by the rest."
        )
    if command := declaration.commands.get(edited.command):
        decode(command, bytes(edited.data))


def _known_by(sent: CommandSent) -> tuple[object, ...]:
    return sent.id, sent.service, sent.command, sent.order, sent.instance


async def _record(databases: Databases, records: Sequence[Event], by: str) -> None:
    metadata = encode(Metadata(actor=by))
    await databases.log.append([recordable(each, databases.clock.new_id(), metadata).new for each in records])
