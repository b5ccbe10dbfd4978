"""Folding everything once more, in memory, to find the steps that raise on what is in the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twofold.compatibility.examining import Remark
from twofold.declaration.declaration import Declaration
from twofold.folding import Fold, fold_of
from twofold.log import RecordedEvent
from twofold.messages import Event
from twofold.views import View, layout
from twofold.views.bounds import Packer

_STOPPED = object()


class Refold:
    """All states of one fold: of an aggregate, or of a view, whose rows are packed as its table has them.

    A key stops at the first event that its step does not take, as it would in a running service.
    """

    def __init__(self, fold: Fold[Any], view: type[View] | None = None) -> None:
        self.fold = fold
        self.states: dict[str, Any] = {}
        self._packer = Packer(layout(view)) if view else None
        self._named = {event: fold.key.finder(event) for event, _ in fold.steps.values()}

    def take(self, recorded: RecordedEvent, event: Event | None) -> Iterator[Remark]:
        """Fold an event into the states of the keys that it names; yield what is wrong, once for each key that stops."""
        if event is None:
            self._stop(recorded)
            return
        for key in self._named[type(event)](event):
            at = self.fold.key.of(key)
            state = self.states.get(at)
            if state is _STOPPED:
                continue
            try:
                self._keep(at, self._step(self.fold.initial(key) if state is None else state, event))
            except Exception as error:
                self.states[at] = _STOPPED
                yield self._remark(event, error)

    def _step(self, state: Any, event: Event) -> Any:
        if self._packer is None:
            return self.fold.apply(state, event)
        row = self.fold.steps[type(event).message_name][1](state, event)
        if row is None:
            return None
        self._packer.row(row)
        return self._packer.normalized(row)

    def _keep(self, at: str, state: Any) -> None:
        if state is None:
            self.states.pop(at, None)
        else:
            self.states[at] = state

    def _stop(self, recorded: RecordedEvent) -> None:
        """Stop the keys of an event that cannot be read: what would be folded after it, would be folded without it."""
        try:
            tags = recorded.tags
        except Exception:
            return
        self.states.update(dict.fromkeys(self.fold.key.named(tags), _STOPPED))

    def _remark(self, event: Event, error: Exception) -> Remark:
        step = getattr(self.fold.steps[type(event).message_name][1], "__name__", "its step")
        if self._packer is None:
            what = f"{self.fold.name}.{step} raises {error!r}: the aggregate cannot be loaded"
        else:
            what = f"{self.fold.name}.{step} raises {error!r}, or gives what its table does not take: the view parks the key"
        return Remark("stops", what, "Mend the step: it has to take every event that was ever recorded.")


def refolds_of(declaration: Declaration) -> list[Refold]:
    """Return the aggregates and views of a service, to be folded again. Projections write as they like, and are not run."""
    folds = {boundary.fold.name: boundary.fold for each in declaration.deciders for boundary in each.boundaries}
    return [*map(Refold, folds.values()), *[Refold(fold_of(view), view) for view in declaration.folded]]
