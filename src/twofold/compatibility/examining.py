"""What the code at hand makes of a stored event: whether it can be read, what of it would be lost, and who would miss it."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from twofold.errors import DeclarationError
from twofold.log import RecordedEvent
from twofold.messages import Event, current_fields, encode, reader, tagger, writer

Kind: TypeAlias = Literal["unread", "version", "misfit", "lost", "awaited", "tags", "stops"]

_DATA_IS_KEPT = (
    "What is stored stays as it is: mend the class, or raise its version= and write an @upcast from the old one."
)
PARKED: Final = f"Views park it, and aggregates cannot be loaded. {_DATA_IS_KEPT}"
"""What becomes of what does not fit its class, and what to do."""

_LONGEST_LIST = 3


class Remark(msgspec.Struct, frozen=True):
    """What is wrong with a stored event, in words that are the same for all events of which it is true.

    ``kind`` is one of

    - ``unread``: it is of a type that nothing knows,
    - ``version``: it is of a version that its class does not read,
    - ``misfit``: it does not fit its class,
    - ``lost``: it has fields that nothing reads,
    - ``awaited``: it comes from another service, without a field that is read here; that matters if none has it,
    - ``tags``: it is not found by the tags that it would have today,
    - ``stops``: a step raises on it.
    """

    kind: Kind
    what: str
    advice: str = ""


def examine(kind: type[Event], recorded: RecordedEvent) -> tuple[Event | None, list[Remark]]:
    """Read a stored event as a class; return it, or None if that cannot be, and what is wrong with it."""
    try:
        event = reader(kind, recorded.version)(recorded.data)
        is_whole = writer(kind)(event) == recorded.data
    except DeclarationError as error:
        return None, [Remark("version", str(error))]
    except Exception as error:
        what = f"it does not fit {kind.__module__}.{kind.__qualname__}: {_words(error)}"
        return None, [Remark("misfit", what, PARKED)]
    remarks = [] if is_whole else list(_lost(kind, event, recorded))
    remarks += _circumstances(kind, event, recorded)
    return event, remarks


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, msgspec.DecodeError) else repr(error)


# Fields that are stored and that nothing reads are found by writing the event again, and comparing.


def _lost(kind: type[Event], event: Event, recorded: RecordedEvent) -> Iterator[Remark]:
    stored = _plain(current_fields(kind, recorded.version)(recorded.data))
    again = current_fields(kind, kind.message_version)(writer(kind)(event))
    fields, defaults = _differences(stored, again)
    yield from lost_fields(kind, recorded.version, tuple(fields), tuple(defaults))


@functools.lru_cache
def lost_fields(
    kind: type[Event], version: int, fields: tuple[str, ...], defaults: tuple[str, ...]
) -> tuple[Remark, ...]:
    """Return what is to be said of an event with such fields: a million of a kind are likely to have the same ones."""
    if kind.message_source:
        # A reader of another service's events takes what it needs, and has defaults for what may not be there.
        return tuple([_awaited(kind, each) for each in defaults if fields])
    what = {field: f"its field {field} is read by nothing{_instead(defaults)}" for field in fields}
    return tuple([Remark("lost", what[field], _advice(field, defaults, kind, version)) for field in fields])


def _awaited(kind: type[Event], field: str) -> Remark:
    what = f"it never has the field {field}, and has others that nothing reads"
    renamed = f"If {kind.message_source} calls {field} something else, call it that here, too."
    return Remark("awaited", what, f"{renamed} If it is not published any more, drop it.")


def _plain(fields: Any) -> Any:
    """Return what an upcast made as what JSON would make of it."""
    return msgspec.json.decode(encode(fields))


def _differences(stored: Any, read: Any, path: str = "") -> tuple[list[str], list[str]]:
    """Return the paths of the fields that are only stored, and of those that are only read: these have their defaults."""
    if isinstance(stored, dict) and isinstance(read, dict):
        before = f"{path}." if path else ""
        lost = [before + name for name in stored if name not in read]
        defaults = [before + name for name in read if name not in stored]
        parts = [(stored[name], read[name], before + name) for name in stored if name in read]
    elif isinstance(stored, list) and isinstance(read, list) and len(stored) == len(read):
        lost, defaults = [], []
        parts = [(one, other, f"{path}[]") for one, other in zip(stored, read, strict=True)]
    else:
        return [], []
    for part in parts:
        more_lost, more_defaults = _differences(*part)
        lost += more_lost
        defaults += more_defaults
    return list(dict.fromkeys(lost)), list(dict.fromkeys(defaults))


def _instead(defaults: Sequence[str]) -> str:
    if not defaults:
        return ""
    return f", and {listed(defaults)} {'has its default' if len(defaults) == 1 else 'have their defaults'}"


def _advice(field: str, defaults: Sequence[str], kind: type[Event], version: int) -> str:
    current = kind.message_version
    drop = f"version={current + 1} and an @upcast({current}) that drops it"
    unneeded = f"If it is not needed: {drop if version == current else f'let the @upcast({current - 1}) drop it'}."
    if not defaults:
        return unneeded
    nearest = difflib.get_close_matches(field, defaults, 1, cutoff=0)[0].rpartition(".")[2]
    name = field.rpartition(".")[2]
    return f'If {nearest} is its new name: {nearest}: … = msgspec.field(default=…, name="{name}"). {unneeded}'


# Tags and metadata.


def _circumstances(kind: type[Event], event: Event, recorded: RecordedEvent) -> Iterator[Remark]:
    try:
        tags = recorded.tags
        recorded.metadata  # noqa: B018 -- it is decoded when it is asked for
    except Exception as error:
        yield Remark("misfit", f"its tags or metadata are none: {_words(error)}", "Restore the log from a copy.")
        return
    try:
        expected = tagger(kind)(event)
    except Exception as error:
        yield Remark("misfit", f"what identifies it, does not: {error}", _DATA_IS_KEPT)
        return
    if tags != expected and set(tags) != set(expected):
        yield Remark("tags", what_differs(tags, expected), missed(kind))


def what_differs(stored: Iterable[str], expected: Iterable[str]) -> str:
    """Return in which tags an event as it is stored differs from one as it would be recorded."""
    stored, expected = {*stored}, {*expected}
    missing = _names(expected - stored)
    if missing:
        return f"the log does not have it under the tag {missing}, under which it is looked for"
    return f"the log has it under the tag {_names(stored - expected)}, which its class does not give it any more"


def _names(tags: set[str]) -> str:
    return listed(sorted({f"{tag.partition(':')[0]}:…" for tag in tags}))


def missed(kind: type[Event]) -> str:
    """Return who misses an event whose tags are not those that it would have today, and what to do."""
    return (
        f"An aggregate that looks for it by its tag misses it. Let the fields of {kind.__name__} and their tags be what they "
        "were when it was recorded, or import the log from an export in which its tags are changed, too."
    )


# Types that nothing knows.


def unread(type_: str, sample: RecordedEvent, known: Mapping[str, type[Event]], found: set[str]) -> Remark:
    """Return what is wrong with the events of a type that nothing knows, with the class that it may have become.

    Args:
        type_: the type.
        sample: one of the events.
        known: the events that the service knows, by name.
        found: the types that are in the log: what has become another class is likely not to be among them.
    """
    source, _, name = type_.rpartition(".")
    near = _successor(
        type_, sample, {each: kind for each, kind in known.items() if kind.message_source == source}, found
    )
    by = f', source="{source}"' if source else ""
    renamed = f'If its class is now {near}: class {near}(Event, name="{name}"{by}). ' if near else ""
    return Remark("unread", "nothing reads it", f"{renamed}If nothing shall: Service(…, ignores=[{type_!r}]).")


def _successor(type_: str, sample: RecordedEvent, known: Mapping[str, type[Event]], found: set[str]) -> str:
    new = {name: kind for name, kind in known.items() if name not in found}
    fitting = [name for name, kind in new.items() if _fits(kind, sample)]
    near = difflib.get_close_matches(type_, fitting, 1, cutoff=0) or difflib.get_close_matches(type_, [*new, *known], 1)
    return known[near[0]].__name__ if near else ""


def _fits(kind: type[Event], sample: RecordedEvent) -> bool:
    _, remarks = examine(kind, sample)
    return not remarks


def listed(names: Sequence[str]) -> str:
    """Return some of the names as they stand in a sentence.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:_LONGEST_LIST])
    return f"{shown} and {len(names) - _LONGEST_LIST} more" if len(names) > _LONGEST_LIST else shown
