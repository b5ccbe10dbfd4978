"""How a field's value is stored: as something that the database compares and orders as Python does the value, where there is.

What is stored says whether the database can compare it. For what it cannot, a condition or an order is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec

from twofold.messages import decoder, difference, encode

_LEAST, _MOST = -(2**63), 2**63 - 1
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
# An offset has whole minutes, and is less than a day.
_FARTHEST = timedelta(hours=23, minutes=59)


class Packing(msgspec.Struct, frozen=True):
    """How values of one type are stored: as ``kind``, by ``pack``, and back by ``unpack`` (None: it is the value already).

    ``pack`` raises a TypeError for what is of another type, and a ValueError for what a database does not take. ``refusal``
    says why the database cannot compare what is stored, and what to do; '' if it can, with what is ``like`` it. ``normalize``
    makes a value what it would be if it were stored and read: an equal one, that may show another zone. It raises a
    ValueError for what would be read as something else, or not at all.
    """

    kind: type
    like: Any
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any] | None = None
    refusal: str = ""
    normalize: Callable[[Any], Any] | None = None


def packing_of(kind: Any, marks: Iterable[Any] = (), default: Any = None) -> Packing:
    """Return how values of a type are stored.

    Whether times have a zone is what a `Meta` among the ``marks`` says, or else whether the ``default`` has one.
    """
    if kind in _PLAIN:
        return _PLAIN[kind]
    if get_origin(kind) is Literal and len(classes := {type(each) for each in get_args(kind)} - {type(None)}) == 1:
        return packing_of(classes.pop())
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_packing(kind)
    if kind in (datetime, time):
        return _ZONED[kind, _zoned(marks, default)]
    decode = decoder(kind).decode
    return Packing(str, kind, _json, decode, _REFUSALS["json"], partial(_normal_json, decode))


# Plain values.


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(_other(value, str))
    text = value if type(value) is str else str.__str__(value)
    if "\0" in text:
        raise ValueError("it has a NUL character, which not every database takes")
    if not text.isascii():
        text.encode()
    return text


def _whole(value: Any) -> int:
    whole: int = value if type(value) is int else _as_whole(value)
    if not _LEAST <= whole <= _MOST:
        raise ValueError("an int is too large: it has 64 bits")
    return whole


def _as_whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(_other(value, int))
    return int(value)


def _real(value: Any) -> float:
    if not isinstance(value, (float, int)) or isinstance(value, bool):
        raise TypeError(_other(value, float))
    try:
        real = float(value)
    except OverflowError:
        raise ValueError("it is beyond what a float can be") from None
    if real != value:
        raise ValueError(f"{value!r:.40} is no number that a float can be")
    return real


def _normal_real(value: Any) -> Any:
    try:
        return _real(value) if type(value) is int else value
    except ValueError:
        # It is refused when it is written.
        return value


def _truth(value: Any) -> int:
    if not isinstance(value, bool):
        raise TypeError(_other(value, bool))
    return int(value)


def _bytes(value: Any) -> str:
    if not isinstance(value, bytes):
        raise TypeError(_other(value, bytes))
    return value.hex()


def _uuid(value: Any) -> str:
    if not isinstance(value, UUID):
        raise TypeError(_other(value, UUID))
    return str(value)


def _duration(value: Any) -> int:
    if not isinstance(value, timedelta):
        raise TypeError(_other(value, timedelta))
    return _whole(value // _MICROSECOND)


def _unpacked_duration(microseconds: Any) -> timedelta:
    # A sum of them is a Decimal in PostgreSQL.
    return timedelta(microseconds=int(microseconds))


def _day(value: Any) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError(_other(value, date))
    return value.isoformat()


def _decimal(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(_other(value, Decimal))
    return str(value)


def _json(value: Any) -> str:
    return encode(value).decode()


def _normal_json(decode: Callable[[Any], Any], value: Any) -> Any:
    read = decode(encode(value))
    if read != value and (path := difference(value, read)):
        raise ValueError(f"{path} would be read as something else than what it is")
    return read


def _other(value: Any, kind: type) -> str:
    return f"{value!r:.40} is a {type(value).__name__} and no {kind.__name__}"


# Enums, by their values.


def _enum_packing(kind: type[Enum]) -> Packing:
    classes = {type(each.value) for each in kind}
    inner = _PLAIN[int if classes == {int} else str]
    # Members without an order of their own are ordered by their values, as SQL has to order them somehow.
    is_ordered = kind.__lt__ in (object.__lt__, int.__lt__, str.__lt__)  # type: ignore[operator]
    refusal = "" if is_ordered else _REFUSALS["enum"]
    return Packing(inner.kind, kind, partial(_packed_member, kind, inner.pack), kind, refusal, partial(_member, kind))


def _packed_member(kind: type[Enum], pack: Callable[[Any], Any], value: Any) -> Any:
    return pack(_member(kind, value).value)


def _member(kind: type[Enum], value: Any) -> Enum:
    if isinstance(value, kind):
        return value
    # A member of an IntEnum is equal to its number, and one of a StrEnum to its text.
    member = next((each for each in kind if each == value), None)
    if member is None:
        raise TypeError(_other(value, kind))
    return member


# Times.


def _zoned(marks: Iterable[Any], default: Any) -> bool | None:
    """Say whether a field's times have a zone; None if nobody has said."""
    said = [mark.tz for mark in marks if isinstance(mark, msgspec.Meta) and mark.tz is not None]
    if said:
        return said[-1]
    return None if default is None else default.utcoffset() is not None


def _instant(value: Any) -> str:
    offset = _offset(value, datetime)
    if offset is None:
        raise TypeError(f"{value!r:.60} has no zone, and the others have one")
    try:
        return value.astimezone(UTC).isoformat(timespec="microseconds")  # type: ignore[no-any-return]
    except OverflowError:
        return _beyond(value.replace(tzinfo=None), offset)


def _beyond(clock: datetime, offset: timedelta) -> str:
    """Return the text of an instant that is before the year 1 in UTC, or after 9999: as the year 0, or by hours from 24 on."""
    if offset > timedelta(0):
        return f"0000-12-31{(clock + (_DAY - offset)).isoformat(timespec='microseconds')[10:]}+00:00"
    day = (clock - (_DAY + offset)).isoformat(timespec="microseconds")
    return f"{day[:11]}{int(day[11:13]) + 24}{day[13:]}+00:00"


def _unpacked_instant(text: str) -> datetime:
    if text.startswith("0000"):
        return _at_the_edge(datetime.fromisoformat("0001-01-01" + text[10:26]), _FARTHEST - _DAY, _FARTHEST)
    if text[11:13] > "23":
        day = datetime.fromisoformat(f"{text[:11]}{int(text[11:13]) - 24:02}{text[13:26]}")
        return _at_the_edge(day, _DAY - _FARTHEST, -_FARTHEST)
    return datetime.fromisoformat(text)


def _at_the_edge(clock: datetime, shift: timedelta, offset: timedelta) -> datetime:
    return (clock + shift).replace(tzinfo=timezone(offset))


def _local(value: Any) -> str:
    if _offset(value, datetime) is not None:
        raise TypeError(f"{value!r:.60} has a zone, and the others have none")
    return value.replace(tzinfo=None).isoformat(timespec="microseconds")  # type: ignore[no-any-return]


def _moment(value: Any) -> str:
    return _local(value) if _offset(value, datetime) is None else _instant(value)


def _normal_moment(value: Any) -> Any:
    if not isinstance(value, datetime) or value.tzinfo in (None, UTC):
        return value
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return _unpacked_instant(_moment(value))


def _hour(value: Any) -> str:
    _offset(value, time)
    return value.isoformat(timespec="microseconds")  # type: ignore[no-any-return]


def _local_hour(value: Any) -> str:
    if _offset(value, time) is not None:
        raise TypeError(f"{value!r:.60} has a zone, and the others have none")
    return _hour(value.replace(tzinfo=None))


def _offset(value: Any, kind: type) -> timedelta | None:
    if not isinstance(value, kind):
        raise TypeError(_other(value, kind))
    offset: timedelta | None = value.utcoffset()  # type: ignore[attr-defined]
    return offset


_REFUSALS = {
    "decimal": "is a Decimal, which is stored as text to be exact, and SQL would compare and order that as text. For "
    "conditions, order and sums keep an int of the smallest unit, such as cents",
    "json": "is stored as JSON, in which equal values can be written differently. For conditions and order keep a field of "
    "its own: a str, an int, a float or the like",
    "enum": "is an Enum with an order of its own, and SQL would order it by its value. Keep an int for the order, or derive "
    "it from IntEnum",
    "moment": "does not say whether its times have a zone, and those with one cannot be compared with those without. Say so: "
    "Annotated[datetime, Meta(tz=True)]",
    "zoned hour": "is a time of day with a zone, of which the text does not sort as the time. For conditions and order keep "
    "it without a zone: Annotated[time, Meta(tz=False)]",
    "hour": "does not say whether it has a zone, with which SQL could not compare it. Say that it has none: "
    "Annotated[time, Meta(tz=False)]",
}

_PLAIN: dict[Any, Packing] = {
    str: Packing(str, str, _text),
    int: Packing(int, float, _whole),
    float: Packing(float, float, _real, normalize=_normal_real),
    bool: Packing(bool, bool, _truth, bool),
    bytes: Packing(str, bytes, _bytes, bytes.fromhex),
    UUID: Packing(str, UUID, _uuid, UUID),
    date: Packing(str, date, _day, date.fromisoformat),
    timedelta: Packing(int, timedelta, _duration, _unpacked_duration),
    Decimal: Packing(str, Decimal, _decimal, Decimal, _REFUSALS["decimal"]),
}

_ZONED: dict[tuple[Any, bool | None], Packing] = {
    (datetime, True): Packing(str, (datetime, True), _instant, _unpacked_instant, normalize=_normal_moment),
    (datetime, False): Packing(str, (datetime, False), _local, datetime.fromisoformat),
    (datetime, None): Packing(str, (datetime, None), _moment, _unpacked_instant, _REFUSALS["moment"], _normal_moment),
    (time, False): Packing(str, (time, False), _local_hour, time.fromisoformat),
    (time, True): Packing(str, (time, True), _hour, time.fromisoformat, _REFUSALS["zoned hour"]),
    (time, None): Packing(str, (time, None), _hour, time.fromisoformat, _REFUSALS["hour"]),
}
