"""What a service has still to do before all is caught up, and what it will have to do later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from twofold.followers import checkpoints, parking
from twofold.messaging import inbox_name
from twofold.processes import SCHEDULES
from twofold.service import Service
from twofold.simulation.disks import LogDisk
from twofold.simulation.followed import writing
from twofold.simulation.plan import Plan
from twofold.simulation.timing import pending_timers
from twofold.simulation.wire import at_once
from twofold.views import ViewStore

_LONGEST_US = 100 * 86_400 * 1_000_000


def behind(service: Service, logs: Mapping[str, LogDisk], store: ViewStore, plan: Plan, now_us: int) -> Iterator[str]:
    """Yield what has not caught up, and have tried again what is parked as rows were refused. The store answers at once."""
    name, is_behind = service.name, False
    progress = at_once(checkpoints.progress(store))
    goals = dict(_goals(service, logs, plan))
    for follower, head in goals.items():
        position = min([each.position for each in progress if each.follower == follower], default=0)
        if position < head:
            is_behind = True
            yield f"{name}: {follower} is at {position} of {head}"
    for each in at_once(parking.parked(store)):
        # What nobody follows any more, such as a view that is not declared now, keeps what it has parked.
        is_refused = plan.faults.refused_row and each.follower in writing(service.declaration)
        if each.follower in goals and (is_refused or 0 < each.retry_at_us <= now_us):
            yield f"{name}: {each.follower} has parked {each.key}, position {each.position}: {each.error}"
            if is_refused:
                at_once(parking.request_retry(store, each.follower, [each.key]))
    if service.declaration.carries_out and not is_behind:
        for timer in pending_timers(logs[name].events()).values():
            if timer.due_us <= now_us:
                yield f"{name}: {timer.id} has been due for {(now_us - timer.due_us) / 1_000_000:.1f} s"


def due_later(service: Service, log: LogDisk, store: ViewStore, now_us: int) -> list[int]:
    """Return when a service will have something to do, in microseconds since 1970: retry what has failed; else, timers."""
    retries_us = [each.retry_at_us for each in at_once(parking.parked(store)) if each.retry_at_us > now_us]
    timers = pending_timers(log.events()).values() if service.declaration.carries_out else ()
    return retries_us or [each.due_us for each in timers if now_us < each.due_us < now_us + _LONGEST_US]


def _goals(service: Service, logs: Mapping[str, LogDisk], plan: Plan) -> Iterator[tuple[str, int]]:
    """Yield the followers of a service, each with the position at which it has caught up."""
    declaration, head = service.declaration, logs[service.name].head
    for name in (*declaration.followers, *declaration.starts, *([SCHEDULES] if declaration.schedules else [])):
        yield name, head
    if plan.has_broker and declaration.tells:
        yield "relay", head
    for source in declaration.sources:
        yield inbox_name(source), logs[source].head
