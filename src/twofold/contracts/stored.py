"""What is in a log by a contract of before, against the code at hand: as `twofold.compatibility` says it of events themselves.

Where the version of an event is still the same, one schema is compared with the other. Where it is older, only the code of the
upcasts knows what becomes of it: they are tried with an example.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from twofold.compatibility.examining import (
    PARKED,
    Remark,
    examine,
    lost_fields,
    missed,
    unread,
    what_differs,
)
from twofold.contracts.document import tags_of
from twofold.contracts.fitting import MISSING, Misfit, misfits
from twofold.contracts.options import exactly
from twofold.contracts.reading import Contract, Described
from twofold.contracts.schemas import read
from twofold.declaration import Declaration, known_events
from twofold.log import RecordedEvent
from twofold.messages import Event, encode
from twofold.messages.examples import example_by
from twofold.messages.schemas import resolved


def remarks_on_stored(old: Contract, declaration: Declaration) -> Iterator[tuple[str, Remark]]:
    """Yield what is wrong with the events that a service has in its log, each with its type."""
    known = known_events(declaration)
    stored = dict(old.events(declaration.name))
    for name, described in stored.items():
        kind = known.get(name)
        found: Iterator[Remark]
        if kind is not None:
            found = _remarks(old, declaration.name, described, kind)
        elif name not in declaration.ignores:
            found = iter([unread(name, _example(old, name, described), known, {*stored})])
        else:
            continue
        for remark in found:
            yield name, remark


def _remarks(old: Contract, service: str, described: Described, kind: type[Event]) -> Iterator[Remark]:
    if kind.message_source:
        yield from _of_others(old, service, described, kind)
    elif described.version == kind.message_version:
        yield from _of_own(old, described, kind)
    else:
        yield from _tried(old, described, kind)


def _of_own(old: Contract, described: Described, kind: type[Event]) -> Iterator[Remark]:
    flaws = _flaws(old, described, kind)
    lost = tuple([flaw.path for flaw in flaws if flaw.is_lost])
    yield from [_misfit(flaw, lost) for flaw in flaws if not flaw.is_lost]
    yield from lost_fields(kind, described.version, lost, tuple(_new_defaults(old, described, kind)))
    before, now = _tags(described.tags), _tags(tags_of(kind))
    if before != now:
        yield Remark("tags", what_differs(before, now), missed(kind))


def _of_others(old: Contract, service: str, described: Described, kind: type[Event]) -> Iterator[Remark]:
    """Yield what is wrong with an event of another service: that one's contract may say what its reader did not read."""
    source = kind.message_source
    told = old.told_by(source, service, kind.message_name.removeprefix(f"{source}."))
    published = _flaws(old, told, kind) if told else []
    for flaw in _flaws(old, described, kind):
        if flaw.written.endswith(MISSING):
            yield from [_misfit(each) for each in published if each.path.startswith(flaw.path)]
        elif not flaw.is_lost:
            yield _misfit(flaw)


def _flaws(old: Contract, described: Described, kind: type[Event]) -> list[Misfit]:
    (payload,), components = read([kind], "")
    return misfits(described.payload, payload, old.components.schemas, components)


def _misfit(flaw: Misfit, lost: Sequence[str] = ()) -> Remark:
    what = f"{flaw.path or 'it'} has to be {flaw.read} now, and was {flaw.written}"
    return Remark("misfit", what, f"{_renamed(flaw, lost)}{PARKED}")


def _renamed(flaw: Misfit, lost: Sequence[str]) -> str:
    """Say how a field that is missing keeps the name that it had, if it is one that nothing reads now."""
    if flaw.written != MISSING or not (near := difflib.get_close_matches(flaw.path, lost, 1, cutoff=0)):
        return ""
    field, name = (path.rpartition(".")[2] for path in (flaw.path, near[0]))
    return f'If {field} is the new name of {name}: {field}: … = msgspec.field(name="{name}"). '


def _new_defaults(old: Contract, described: Described, kind: type[Event]) -> Iterator[str]:
    """Yield the fields that nothing had before and that have a default: one of them may be what a lost one is called now."""
    (payload,), components = read([kind], "")
    schema, before = resolved(payload, components), resolved(described.payload, old.components.schemas)
    yield from [name for name in schema["properties"] if name not in {*before["properties"], *schema["required"]}]


def _tags(tags: Iterable[Sequence[str]]) -> set[str]:
    return {f"{tag}:{field}" for field, tag in tags}


# What older versions become.


def _tried(old: Contract, described: Described, kind: type[Event]) -> Iterator[Remark]:
    schemas = old.components.schemas
    example = example_by(described.payload, schemas)
    is_like_those = not misfits(exactly(example), described.payload, {}, schemas)
    for remark in examine(kind, _example(old, kind.message_name, described))[1]:
        # Of an example that could not be stored like that, nothing else is known.
        if is_like_those or remark.kind == "version":
            yield remark


def _example(old: Contract, name: str, described: Described) -> RecordedEvent:
    """Return an event as it may be in the log."""
    example = example_by(described.payload, old.components.schemas)
    tags = [f"{tag}:{value}" for field, tag in described.tags for value in _leaves(example.get(field))]
    return RecordedEvent(1, "", name, described.version, encode(tags), encode(example), b"{}", 0)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None:
        yield value
