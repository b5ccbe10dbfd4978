"""What every log takes, whatever database it is in: so a log can move, and a service by changing a URL.

Types, tags and ids are compared by their characters and by nothing else: case and normal forms make a difference. Data and
metadata are any bytes. An event's id names it, and nothing holds it to be the only one: what must not happen twice has an
append's id. `twofold.log.Log` checks what is submitted, and stores what they are given by anybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from twofold.errors import ValueRefused
from twofold.log.model import Append, Condition, Criteria, Criterion, NewEvent, ProcessedId, RecordedEvent

LONGEST_NAME = 500
"""Of an event's type or id, in characters: an index takes a type of that length, whatever characters it has."""

BIGGEST_APPEND = 64 << 20
"""Of an append's data, metadata and texts, in bytes. Databases take more, and keep everybody else waiting."""

MOST_NAMES = 10_000
"""Of the types, tags and criteria in a query, or in an append's conditions, together: a statement has places for so many."""

_LONGEST_DIGEST = 64
_LAST_POSITION = (1 << 63) - 1
_LAST_VERSION = (1 << 31) - 1
_ROW_BYTES = 100
_FEW, _MANY = 100, 1000

# The types that a service's events and states have are looked at once.
_sound_names: set[str] = set()
_sound_types: set[tuple[str, ...]] = set()
_LONGEST_SHOWN = 60


class Checked(list[Append]):
    """Appends that were checked when they were submitted."""


def check_batch(batch: Sequence[Append]) -> None:
    """Check what a store is to write.

    Raises:
        ValueRefused: a log does not take one of the appends; the text says what of it, and why.
    """
    if isinstance(batch, Checked):
        return
    for index, append in enumerate(batch):
        if not isinstance(append, Append):
            raise _refused("What is appended is an Append", append)
        size_of(append.events, append.id, append.digest)
        names = 0
        for condition in append.conditions:
            if not isinstance(condition, Condition):
                raise _refused("A condition is a Condition", condition)
            check_position(condition.after)
            if condition.behind is not None and not (type(condition.behind) is int and 0 <= condition.behind < index):
                raise _refused("A condition is behind an append that comes before it, by its index", condition.behind)
            names = check_condition(condition.criteria, names)


def size_of(events: Sequence[NewEvent], id: str, digest: bytes) -> int:
    """Return about how many bytes an append has, having checked all of it but its conditions.

    Raises:
        ValueRefused: a log does not take it.
    """
    if type(id) is not str or not id.isascii():
        check_id(id)
    if type(digest) is not bytes or len(digest) > _LONGEST_DIGEST:
        raise _refused(f"A digest is up to {_LONGEST_DIGEST} bytes", digest)
    size = 0
    for event in events:
        # The common event is found right by one look at each field.
        if not _is_plain(event):
            _check_event(event)
        size += _ROW_BYTES + len(event.data) + len(event.metadata)
        for tag in event.tags:
            if type(tag) is not str or not tag or not tag.isascii():
                _check_tag(tag)
            size += len(tag)
    return _bounded(size)


def recorded_size(events: Sequence[NewEvent], id: str) -> int:
    """Return about how many bytes an append has whose events the recorder has made, which is how a log takes them.

    Raises:
        ValueRefused: no log takes so much, or such an id.
    """
    if type(id) is not str or not id.isascii():
        check_id(id)
    size = 0
    for event in events:
        size += _ROW_BYTES + len(event.data) + len(event.metadata)
    return _bounded(size)


def _bounded(size: int) -> int:
    if size > BIGGEST_APPEND:
        raise ValueRefused(
            f"The events of an append have up to {BIGGEST_APPEND >> 20} MiB, and these have {size >> 20}; nothing was "
            "appended. Append them in parts, or keep what is large elsewhere and its address in the event."
        )
    return size


def _is_plain(event: NewEvent) -> bool:
    return (
        type(event) is NewEvent
        and type(event.type) is type(id := event.id) is str
        and event.type in _sound_names
        and 0 < len(id) <= LONGEST_NAME
        and id.isascii()
        and "\0" not in id
        and type(event.version) is int
        and 0 <= event.version <= _LAST_VERSION
        and type(event.data) is type(event.metadata) is bytes
        and type(event.tags) is tuple
    )


def _check_event(event: NewEvent) -> None:
    if not isinstance(event, NewEvent):
        raise _refused("What happened is a NewEvent", event)
    _check_type(event.type)
    _check_event_id(event.id)
    _check_version(event.version)
    if not isinstance(event.tags, tuple | list):
        raise _refused("An event's tags are a tuple", event.tags)
    for part in (event.data, event.metadata):
        if not isinstance(part, bytes):
            raise _refused("An event's data and metadata are bytes", part)


def _check_event_id(id: str) -> None:
    if not _is_text(id) or not 0 < len(id) <= LONGEST_NAME or "\0" in id:
        raise _refused(f"An event's id is a text of 1 to {LONGEST_NAME} characters without U+0000 and surrogates", id)


def _check_version(version: int) -> None:
    if type(version) is not int or not 0 <= version <= _LAST_VERSION:
        raise _refused(f"An event's version is a whole number from 0 to {_LAST_VERSION}", version)


def _check_type(type_: str) -> None:
    if not _is_name(type_):
        raise _refused(
            f"An event's type is a text of 1 to {LONGEST_NAME} characters without U+0000, U+001F and surrogates", type_
        )
    if len(_sound_names) < _MANY:
        _sound_names.add(type_)


def _check_tag(tag: str) -> None:
    if not tag or not _is_text(tag):
        raise _refused("A tag is a text of at least one character, without surrogates", tag)


def check_id(id: str) -> None:
    """Check an append's id, which is empty for none.

    Raises:
        ValueRefused: it is not a text, or none that can be stored.
    """
    if not _is_text(id):
        raise _refused("An id is a text without surrogates", id)


# Conditions and queries.


def check_condition(criteria: Criteria, names: int) -> int:
    """Check what a condition selects, and return how many names there are with it in its append.

    Raises:
        ValueRefused: it cannot be asked for; or nothing is, so that the condition would never fail.
    """
    if not criteria:
        raise ValueRefused(
            "A condition without criteria would never fail; nothing was appended. Say what must not have happened, or "
            "give no condition."
        )
    names += _names(criteria)
    if names > MOST_NAMES:
        raise _too_many(names)
    return names


def check_query(criteria: Criteria, after: int, limit: int) -> None:
    """Check what a log is asked for.

    Raises:
        ValueRefused: it cannot be asked for.
    """
    names = _names(criteria)
    if names > MOST_NAMES:
        raise _too_many(names)
    check_position(after)
    if type(limit) is not int or not 0 <= limit <= _LAST_POSITION:
        raise _refused("A limit is a whole number of 64 bits that is not negative", limit)


def check_position(position: int) -> None:
    """Check a position to count from, which is 0 for the beginning.

    Raises:
        ValueRefused: it is none.
    """
    if type(position) is not int or not 0 <= position <= _LAST_POSITION:
        raise _refused("A position is a whole number of 64 bits that is not negative", position)


def _names(criteria: Criteria) -> int:
    """Return how many names criteria have, having checked each."""
    if not isinstance(criteria, tuple | list):
        raise _refused("Criteria are a tuple of Criterion", criteria)
    names = 0
    for criterion in criteria:
        if type(criterion) is not Criterion:
            raise _refused("Criteria are a tuple of Criterion", criterion)
        types, tags = criterion.types, criterion.tags
        if type(types) is not tuple or type(tags) is not tuple:
            raise _refused("The types and the tags of a criterion are tuples", criterion)
        try:
            known = not types or types in _sound_types
        except TypeError:
            known = False
        if not known:
            _check_types(types)
        for tag in tags:
            if type(tag) is not str or not tag or not tag.isascii():
                _check_tag(tag)
        names += 1 + len(types) + len(tags)
    return names


def _check_types(types: tuple[str, ...]) -> None:
    for each in types:
        _check_type(each)
    if len(types) <= _FEW and len(_sound_types) < _MANY:
        _sound_types.add(types)


def _too_many(names: int) -> ValueRefused:
    return ValueRefused(
        f"A query, or the conditions of an append, have up to {MOST_NAMES} types, tags and criteria, and this has {names}. "
        "Ask in parts, or by a tag that all of them share."
    )


# What is taken over from another log.


def check_recorded(event: RecordedEvent) -> None:
    """Check an event that is to be restored.

    Raises:
        ValueRefused: a log does not take it.
    """
    _check_type(event.type)
    _check_event_id(event.id)
    _check_version(event.version)
    for tag in event.tags:
        _check_tag(tag)


def check_processed(processed: ProcessedId) -> None:
    """Check what is to be remembered of an id.

    Raises:
        ValueRefused: a log does not take it.
    """
    check_id(processed.key)
    check_position(processed.first)
    check_position(processed.last)


# Values.


def _is_name(value: object) -> TypeGuard[str]:
    return _is_text(value) and 0 < len(value) <= LONGEST_NAME and "\0" not in value and "\x1f" not in value


def _is_text(value: object) -> TypeGuard[str]:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refused(rule: str, value: object) -> ValueRefused:
    shown = repr(value[:_LONGEST_SHOWN] if isinstance(value, str | bytes) else value)[: 2 * _LONGEST_SHOWN]
    return ValueRefused(f"{rule}, and not {shown}. No log takes it, in whatever database; nothing was stored.")
