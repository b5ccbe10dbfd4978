"""A recorded log to start from: what was once decided is there when a simulated world begins."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from twofold.copies import opened_export
from twofold.errors import DeclarationError
from twofold.log import ProcessedId, RecordedEvent, stored_key
from twofold.log.reading import events_of
from twofold.operations.databases import opened_log
from twofold.service import Service
from twofold.urls import without_password

Start: TypeAlias = Sequence[RecordedEvent] | Mapping[str, Sequence[RecordedEvent]]
"""The events with which the log of a service begins; of a system, by its services' names."""

MOST_EVENTS = 10_000
"""With how many events all logs together may begin: each world folds them anew."""


def recorded_events(place: str) -> list[RecordedEvent]:
    """Return the events of a log, to start simulations from: from its URL, or a file that ``twofold log export`` has written.

    Raises:
        DeclarationError: it has more than a simulation can begin with.
        LogCorrupted: a line of the file is wrong, or lines are missing.
        LogUnavailable: there is no such log or file, or it cannot be reached.
        SettingsError: the URL is wrong.
    """
    return asyncio.run(_of_log(place) if "://" in place else _of_export(place))


async def _of_log(url: str) -> list[RecordedEvent]:
    async with opened_log(url) as log:
        head = await log.head()
        _check_count(head, without_password(url))
        return [event async for events in events_of(log, 0, head) for event in events]


async def _of_export(file: str) -> list[RecordedEvent]:
    with opened_export(file) as (export, pages):
        _check_count(export.events, file)
        return [event async for events in pages for event in events]


def _check_count(events: int, where: str) -> None:
    if events > MOST_EVENTS:
        raise DeclarationError(
            f"{where} has {events:,} events, and a simulation begins with {MOST_EVENTS:,} at the most. In Python, give the "
            "first of them: any beginning of a log is a log."
        )


def checked_start(start: Start, services: Sequence[Service]) -> dict[str, Sequence[RecordedEvent]]:
    """Return with which events the logs begin, by service.

    Raises:
        DeclarationError: it is not said of which service they are, they are no beginning of its log, one service has heard
            what another one has not said, or they are too many.
    """
    names = [each.name for each in services]
    if not isinstance(start, Mapping):
        if start and len(names) > 1:
            raise DeclarationError(
                f"start=… is of one log, and there are {', '.join(names)}: say start={{name: events}}."
            )
        start = {names[0]: start} if start else {}
    if unknown := [each for each in start if each not in names]:
        raise DeclarationError(f"start=… is for {', '.join(unknown)}, and what is simulated is {', '.join(names)}.")
    _check_count(sum(map(len, start.values())), "start=…")
    for name, events in start.items():
        if [each.position for each in events] != [*range(1, len(events) + 1)]:
            raise DeclarationError(f"start=… of {name} is no beginning of a log: its positions are not 1, 2 and so on.")
    for service in services:
        _check_heard(service, start)
    return dict(start)


def _check_heard(service: Service, start: Mapping[str, Sequence[RecordedEvent]]) -> None:
    for source in service.declaration.sources:
        said = {each.id for each in start.get(source, ())}
        for event in start.get(service.name, ()):
            if event.metadata.source == source and event.metadata.source_id not in said:
                raise DeclarationError(
                    f"start=… has what {service.name} has heard at position {event.position} of {source}, and nothing of it "
                    f"in the log of {source}. Give that as well, exported after the one of {service.name}."
                )


def remembered(events: Iterable[RecordedEvent]) -> list[ProcessedId]:
    """Return the ids that a log remembers of what it has heard, so that it does not record that again."""
    heard = [(each, each.metadata) for each in events]
    return [
        ProcessedId(stored_key(f"{metadata.source}/{metadata.source_id}"), event.position, event.position)
        for event, metadata in heard
        if metadata.source
    ]


def identities_in(events: Iterable[RecordedEvent]) -> dict[str, list[str]]:
    """Return the texts of all identities that events are about, by the names of their tags, as they come first."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for event in events:
        for tag in event.tags:
            name, _, text = tag.partition(":")
            found[name][text] = None
    return {name: [*texts] for name, texts in found.items()}
