"""Comparing the log with the code when a service starts: what nothing reads is told, before anybody misses it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from twofold.compatibility.checking import Finding, Tally
from twofold.compatibility.examining import examine, listed, unread
from twofold.declaration.declaration import Declaration, known_events
from twofold.errors import LogError
from twofold.log import ALL, Log, RecordedEvent, TypeCount

_MOST_COUNTED = 10_000
_MOST_TOLD = 5
_PATIENCE_SECONDS = 60.0

_logger = logging.getLogger("twofold.service")


async def tell_unread(declaration: Declaration, log: Log) -> None:
    """Log one warning of all in which a log and the code at hand differ, as far as that is seen in a moment.

    Nothing fails with it, and it takes no longer where a log is longer: it looks at what types there are, and at the first and
    the last event of each. `twofold.compatibility.checking.check_log` looks at every event.
    """
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            counts = await log.types(_MOST_COUNTED + 1)
            found = await _compare(declaration, log, counts)
    except (LogError, TimeoutError) as error:
        _logger.info("The log of %s was not compared with its code: %s", declaration.name, error or "it took too long")
        return
    except Exception:
        _logger.exception("The log of %s could not be compared with its code, and is used as it is", declaration.name)
        return
    if found:
        _logger.warning("%s", _told(declaration, counts, found))


async def _compare(declaration: Declaration, log: Log, counts: Sequence[TypeCount]) -> list[Finding]:
    known = known_events(declaration)
    found = {each.type for each in counts}
    tally = Tally()
    for each in counts:
        if each.type in declaration.ignores:
            continue
        kind = known.get(each.type)
        for sample in await _samples(log, each):
            if kind is None:
                tally.add(unread(each.type, sample, known, found), sample)
                break
            for remark in examine(kind, sample)[1]:
                tally.add(remark, sample)
    return [each for each in tally.findings() if each.kind != "awaited"]


async def _samples(log: Log, counted: TypeCount) -> list[RecordedEvent]:
    """Return the first event of a type, and the last: between the two, the code was changed if it ever was."""
    positions = dict.fromkeys([counted.first, counted.last])
    return [event for position in positions for event in await log.read(ALL, position - 1, 1)]


def _told(declaration: Declaration, counts: Sequence[TypeCount], found: Sequence[Finding]) -> str:
    known = known_events(declaration)
    if not any(each.type in known for each in counts):
        types = listed([each.type for each in counts])
        begin = f"{declaration.name} knows nothing of what is in its log ({types}): is it the log of another service?"
    else:
        begin = f"{declaration.name} does not read all of its log as it was written."
    amounts = {each.type: each.events for each in counts}
    told = [_sentence(each, amounts[each.type]) for each in found[:_MOST_TOLD]]
    more = [f"There is more of that, {len(found) - _MOST_TOLD} times."] if len(found) > _MOST_TOLD else []
    return " ".join([begin, *told, *more, "`twofold check` looks at every event."])


def _sentence(found: Finding, events: int) -> str:
    amount = f"more than {_MOST_COUNTED:,}" if events > _MOST_COUNTED else f"{events:,}"
    what = f"{found.type}, version {found.version}, {amount} in all, such as the one at position {found.position}"
    return f"{what}: {found.what.rstrip('.')}. {found.advice}".rstrip()
