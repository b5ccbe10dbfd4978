"""The log against the code: what the code at hand would lose, park or get wrong of all that is recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import msgspec

from twofold.compatibility.examining import Kind, Remark, examine, unread
from twofold.compatibility.refolding import refolds_of
from twofold.declaration.declaration import Declaration, known_events
from twofold.log import Log, RecordedEvent
from twofold.log.reading import Report, ahead, events_of

_MOST_OF_A_KIND = 10
_OTHERS = "there is more of this kind, in other words"


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with some events of a type, and what to do about it; see `twofold.compatibility.examining.Remark`.

    ``events`` is how many there are, and ``position`` that of the first. Of the kind ``stops`` that many keys stop.
    """

    kind: Kind
    type: str
    version: int
    what: str
    events: int
    position: int
    advice: str = ""


class Checked(msgspec.Struct, frozen=True):
    """A service, how many events its log has, and what is wrong with them."""

    service: str
    events: int
    findings: list[Finding]


async def check_log(
    declaration: Declaration, log: Log, report: Report = lambda *_: None, *, fold: bool = True
) -> list[Finding]:
    """Read every event of a log with the code at hand, and return what is wrong, in the order of types.

    The log is only read, and may be in use: what comes meanwhile is not looked at. In a test of a service::

        assert await check_log(bank.declaration, log) == []

    Args:
        declaration: the service's, such as ``bank.declaration``.
        log: the log, such as that of `twofold.operations.databases.opened_log`.
        report: is told how far it is.
        fold: fold all states of aggregates and views, too. They are in memory meanwhile: some 200 bytes for each, and
            what is in it.

    Raises:
        LogUnavailable: the log cannot be read.
        LogCorrupted: the log breaks a rule of its own.
    """
    head = await log.head()
    return await check_events(declaration, events_of(log, 0, head), head, report, fold=fold)


async def check_events(
    declaration: Declaration,
    pages: AsyncGenerator[Sequence[RecordedEvent], None],
    end: int,
    report: Report,
    *,
    fold: bool,
) -> list[Finding]:
    """Check the events of a log, as `check_log` does, from wherever they come."""
    check = _Check(declaration, fold=fold)
    async with aclosing(ahead(pages)) as found:
        async for page in found:
            await asyncio.to_thread(check.take, page)
            if page:
                report(f"checking {declaration.name}", page[-1].position, end)
    return check.findings()


class _Check:
    def __init__(self, declaration: Declaration, *, fold: bool) -> None:
        self._known = known_events(declaration)
        self._ignored = set(declaration.ignores)
        self._refolds = refolds_of(declaration) if fold else []
        self._tally = Tally()
        self._found: Counter[str] = Counter()
        self._unread: dict[tuple[str, int], tuple[RecordedEvent, int]] = {}

    def take(self, events: Sequence[RecordedEvent]) -> None:
        for event in events:
            for remark in self._remarks(event):
                self._tally.add(remark, event)

    def _remarks(self, recorded: RecordedEvent) -> Iterator[Remark]:
        self._found[recorded.type] += 1
        kind = self._known.get(recorded.type)
        if kind is None:
            if recorded.type not in self._ignored:
                at = (recorded.type, recorded.version)
                sample, events = self._unread.get(at, (recorded, 0))
                self._unread[at] = (sample, events + 1)
            return
        event, remarks = examine(kind, recorded)
        yield from remarks
        for each in self._refolds:
            if recorded.type in each.fold.steps:
                yield from each.take(recorded, event)

    def findings(self) -> list[Finding]:
        for sample, events in self._unread.values():
            self._tally.add(unread(sample.type, sample, self._known, set(self._found)), sample, events)
        return [each for each in self._tally.findings() if each.kind != "awaited" or self._is_in_vain(each)]

    def _is_in_vain(self, finding: Finding) -> bool:
        """Say whether no event of the type, of whichever version, has the field that is awaited."""
        same = [each for each in self._tally.findings() if (each.type, each.what) == (finding.type, finding.what)]
        return sum(each.events for each in same) == self._found[finding.type]


class Tally:
    """Counts what was remarked on, and keeps where it was first."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, int, Remark], Finding] = {}
        self._words: Counter[tuple[str, int, str]] = Counter()

    def add(self, remark: Remark, event: RecordedEvent, events: int = 1) -> None:
        """Count a remark on an event, or on so many of which it is the first."""
        at = (event.type, event.version, remark)
        found = self._findings.get(at)
        if found is None:
            self._words[event.type, event.version, remark.kind] += 1
            if self._words[event.type, event.version, remark.kind] > _MOST_OF_A_KIND and remark.what != _OTHERS:
                # An error may have another text for each event.
                self.add(Remark(remark.kind, _OTHERS, remark.advice), event, events)
                return
            found = Finding(remark.kind, event.type, event.version, remark.what, 0, event.position, remark.advice)
        self._findings[at] = msgspec.structs.replace(found, events=found.events + events)

    def findings(self) -> list[Finding]:
        """Return what there is, in the order of types, versions and positions."""
        return sorted(self._findings.values(), key=lambda each: (each.type, each.version, each.position))
