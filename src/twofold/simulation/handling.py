"""An oracle for event handlers: each is called for every event, in order for each key, until that has succeeded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import inf

from twofold.declaration import Declaration
from twofold.followers import storable_key
from twofold.log import RecordedEvent, recordable
from twofold.processes import EventHandler, sent
from twofold.simulation.disks import Commit
from twofold.simulation.followed import Reach, began
from twofold.simulation.probing import Called, Calls
from twofold.simulation.violations import Violation
from twofold.views import ViewStore

_PREFIX = "twofold/handler/"


def handling_violations(
    now: Declaration, events: Sequence[RecordedEvent], commits: Sequence[Commit], calls: Calls, store: ViewStore
) -> Iterator[Violation]:
    """Yield what is wrong with what the event handlers of a service were called for. The store answers at once."""
    appended = {each.append.id: each for each in commits if each.append.id.startswith(_PREFIX)}
    for handler in now.handlers:
        given = [each for each in events[began(now, handler.follower, events) :] if each.type in handler.events]
        called = _by_event(calls, now.name, handler.name)
        for id in called.keys() - {each.id for each in given}:
            yield Violation("A handler is called for what is in the log.", f"{now.name}, {handler.name}", "no call", id)
        left_out = {
            each.id: calls.left_out[now.name, handler.follower, each.position]
            for each in given
            if (now.name, handler.follower, each.position) in calls.left_out
        }
        keys: dict[str, list[RecordedEvent]] = defaultdict(list)
        for event in given:
            keys[_key(handler, event)].append(event)
        reach = Reach(handler.follower, store)
        for key, queue in keys.items():
            where = f"{now.name}, {handler.name}, {key}"
            yield from _of_key(queue, called, _done(called, left_out), reach.of(key), where)
            for event in queue:
                id = f"{_PREFIX}{handler.name}/{key}/{event.position}"
                sent_by = [_sent(handler, each, id, now.name) for each in called.get(event.id, ()) if each.ended]
                is_sure = event.position <= reach.of(key) and event.id not in left_out
                yield from _of_commands(sent_by, appended.pop(id, None), id, is_sure=is_sure)
    for id, commit in appended.items():
        where = f"{now.name}, position {commit.outcome.last}"
        yield Violation("What a handler sends is what it has returned.", where, "nothing", id)


def _key(handler: EventHandler, event: RecordedEvent) -> str:
    named = event.tags if handler.tag is None else handler.tag.named(event.tags)
    return storable_key(named[0] if named else event.type)


def _sent(handler: EventHandler, called: Called, id: str, service: str) -> list[bytes]:
    """Return the data of the records of the commands that a call has returned."""
    commands = handler.returned(called.returned)
    records = [sent(each, f"{id}/{number}", service) for number, each in enumerate(commands)]
    return [recordable(each, "", b"").new.data for each in records]


def _of_commands(
    sent_by: Sequence[list[bytes]], commit: Commit | None, id: str, *, is_sure: bool
) -> Iterator[Violation]:
    """Judge the commands that a handler has sent for an event: those that some call of it has returned."""
    found = [each.data for each in commit.append.events] if commit else []
    if found not in (sent_by if is_sure else [*sent_by, []]) and (sent_by or found):
        yield Violation("What a handler sends is what it has returned.", id, repr(sent_by), repr(found))


def _by_event(calls: Calls, service: str, handler: str) -> Mapping[str, list[Called]]:
    found: dict[str, list[Called]] = defaultdict(list)
    for each in calls.all:
        if (each.service, each.handler) == (service, handler):
            found[each.event].append(each)
    return found


def _done(called: Mapping[str, Sequence[Called]], left_out: Mapping[str, int]) -> dict[str, int]:
    """Return when each event was done, by its id: a call for it had returned, or the policy has left it out."""
    ended = {id: [each.ended for each in found if each.ended] for id, found in called.items()}
    return {**left_out, **{id: min(moments) for id, moments in ended.items() if moments}}


def _of_key(
    queue: Sequence[RecordedEvent],
    called: Mapping[str, Sequence[Called]],
    done: Mapping[str, int],
    reached: int,
    where: str,
) -> Iterator[Violation]:
    """Judge the calls for the events of one key: none begins for the first time before those before it are done."""
    free_at, before = 0.0, 0
    for event in queue:
        calls = called.get(event.id, ())
        if any(each.began < free_at for each in calls):
            yield Violation(
                "A handler is called for events of one key in order.", f"{where}, position {event.position}",
                f"that position {before} was handled before", "a call that began before that",
            )  # fmt: skip
        if event.id not in done and event.position <= reached:
            yield Violation(
                "A handler succeeds for every event.", f"{where}, position {event.position}", "a call that returned",
                f"{len(calls)} calls, none of which has",
            )  # fmt: skip
        free_at, before = max(free_at, done.get(event.id, inf)), event.position
