"""An oracle for what services hear of each other: all that was published, once, and in order for each key."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from twofold.log import RecordedEvent
from twofold.processes import addressee
from twofold.service import Service
from twofold.simulation.releases import Release
from twofold.simulation.violations import Violation


def hearing_violations(
    service: Service,
    releases: Sequence[Release],
    events: Mapping[str, Sequence[RecordedEvent]],
    *,
    is_complete: bool,
) -> Iterator[Violation]:
    """Yield what is wrong with what a service has heard; ``events`` are those of all logs, by service.

    While a release is deployed that publishes more, or subscribes to more of a source, some of that is passed over.
    """
    for source, kinds in service.declaration.sources.items():
        where = f"{service.name}, what it hears of {source}"
        wanted = {each.message_name.removeprefix(f"{source}.") for each in kinds}
        told = [each for each in events[source] if each.type in wanted]
        published = {each.id: each for each in told if addressee(each) in ("", service.name)}
        heard = [each for each in events[service.name] if each.metadata.source == source]
        ids = Counter(each.metadata.source_id for each in heard)
        for id, times in ids.items():
            if times > 1 or id not in published:
                yield Violation(
                    "What is heard was published, and is heard once.", where, f"{id} once", f"{times} times"
                )
        passing = _carried(releases[-1], source, service.name) - _carried(releases[0], source, service.name)
        missing = [each for id, each in published.items() if id not in ids and each.type not in passing]
        if is_complete and missing:
            yield Violation(
                "What is published is heard.", where, f"positions up to {events[source][-1].position}",
                f"nothing of {', '.join([str(each.position) for each in missing])}",
            )  # fmt: skip
        yield from _out_of_order(heard, where)


def _carried(release: Release, source: str, subscriber: str) -> set[str]:
    """Return the types of events that come from a source to a subscriber by the code of a release."""
    publishes = {each.message_name for each in release.services[source].declaration.publishes}
    subscribes = release.services[subscriber].declaration.sources.get(source)
    # Who has not heard of a source before hears all that it has ever published.
    return (
        publishes & {each.message_name.removeprefix(f"{source}.") for each in subscribes} if subscribes else publishes
    )


def _out_of_order(heard: Sequence[RecordedEvent], where: str) -> Iterator[Violation]:
    last: dict[str, int] = defaultdict(int)
    for each in heard:
        position = each.metadata.source_position
        for tag in each.tags:
            if position < last[tag]:
                yield Violation(
                    "Within a key, what is heard is in order.", f"{where}: {tag}",
                    f"position {position} before {last[tag]}", f"position {position} behind it, at {each.position}",
                )  # fmt: skip
            last[tag] = max(last[tag], position)
