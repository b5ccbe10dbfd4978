"""Oracles for the user's own rules: over states at each position of a log, and over views while a system runs."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from twofold.folding import Fold, State, parameters
from twofold.followers import checkpoints
from twofold.log import RecordedEvent
from twofold.queries import Views
from twofold.service import Service
from twofold.simulation.concerned import concerned
from twofold.simulation.disks import ViewDisk
from twofold.simulation.invariants import Invariant, folds_of
from twofold.simulation.loop import run_alone
from twofold.simulation.view_store import SimulatedViewStore
from twofold.simulation.violations import Violation
from twofold.simulation.wire import at_once


def _broken(invariant: Invariant, values: Sequence[Any], where: str) -> Iterator[Violation]:
    """Check an invariant of some values."""
    try:
        held = invariant(*values)
        if inspect.isawaitable(held):
            held = run_alone(_awaited(held))
        if held is None or held:
            return
        found = "it is not so"
    except Exception as error:
        found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if invariant.takes == "state":
        found = f"{values[0]!r}: {found}"
    yield Violation(f"The invariant {invariant.name} holds.", where, invariant.says, found)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


# Of states, at each position of a log.


def state_violations(
    service: Service, events: Sequence[RecordedEvent], invariants: Sequence[Invariant]
) -> Iterator[Violation]:
    """Yield the invariants over states that a service's log breaks, each where it does so first."""
    folds = folds_of(service)
    left = [each for each in invariants if each.kinds and {*each.kinds} <= {*folds}]
    kinds = {kind for each in left for kind in each.kinds}
    states: dict[type[State], dict[Any, Any]] = defaultdict(dict)
    for event in events if left else ():
        changed = {kind: [*_changed(folds[kind], states[kind], event)] for kind in folds if kind in kinds}
        where = f"{service.name}, position {event.position}, after {event.type} {event.data.decode()}"
        for each in [*left]:
            if found := [*_of_states(each, states, changed, where)]:
                left.remove(each)
                yield found[0]


def _changed(fold: Fold[Any], states: dict[Any, Any], event: RecordedEvent) -> Iterator[Any]:
    """Fold an event, and yield each state that it changes. Where a step raises an error, which others judge, it stays."""
    for key, read in concerned(fold, event):
        state = states.pop(key, fold.initial(key))
        with suppress(Exception):
            state = fold.steps[event.type][1](state, read)
        if state is not None:
            states[key] = state
            yield state


def _of_states(
    invariant: Invariant,
    states: Mapping[type[State], dict[Any, Any]],
    changed: Mapping[type[State], list[Any]],
    where: str,
) -> Iterator[Violation]:
    if invariant.takes == "state":
        for state in changed[invariant.kinds[0]]:
            yield from _broken(invariant, [state], where)
    elif any(changed[kind] for kind in invariant.kinds):
        yield from _broken(invariant, [[*states[kind].values()] for kind in invariant.kinds], where)


# Of views, while a system runs.


class ViewWatch:
    """Looks at views whenever something is stored of them. ``found`` has the invariants that were broken."""

    def __init__(
        self, services: Sequence[Service], disks: Mapping[str, ViewDisk], invariants: Sequence[Invariant]
    ) -> None:
        self._services = services
        self._stores = {name: SimulatedViewStore(disk) for name, disk in disks.items()}
        self._seen: dict[str, int] = {}
        self._left = [each for each in invariants if each.takes == "views"]
        self.found: list[Violation] = []

    def look(self) -> None:
        """Check the invariants of those services all of whose views have seen the same part of the log."""
        if not self._left:
            return
        positions = {each.name: self._position(each) for each in self._services}
        for each in self._left:
            names = self._names(each)
            at = {name: positions[name] for name in names}
            if None not in at.values() and any(self._seen.get(name) != position for name, position in at.items()):
                where = ", ".join([f"the views of {name} at position {position}" for name, position in at.items()])
                self.found += _broken(each, [Views(self._stores[name]) for name in names], where)
        self._seen |= {name: position for name, position in positions.items() if position is not None}
        broken = {each.rule for each in self.found}
        self._left = [each for each in self._left if f"The invariant {each.name} holds." not in broken]

    def _names(self, invariant: Invariant) -> list[str]:
        if len(self._services) == 1:
            return [self._services[0].name]
        return [each.name for each in parameters(invariant.function)]

    def _position(self, service: Service) -> int | None:
        """Return where all that fills views of a service is, if that is one position."""
        progress = at_once(checkpoints.progress(self._stores[service.name]))
        followers = service.declaration.followers
        positions = {each.position for each in progress if each.follower in followers}
        begun = {each.follower for each in progress}
        return positions.pop() if len(positions) == 1 and {*followers} <= begun else None
