"""Folds: how events become a state, whatever is known of them and however they are divided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold import Aggregate, Event, Tag, evolve, replace
from twofold.errors import LogCorrupted
from twofold.folding import fold_of
from twofold.log import StoredPayload
from twofold.messages import encode

BoxId = Annotated[str, Tag("box")]


class Filled(Event):
    box: BoxId
    item: int


class Emptied(Event):
    box: BoxId


class Labelled(Event):
    box: BoxId


class Box(Aggregate, key=BoxId):
    items: tuple[int, ...] = ()

    @evolve
    def filled(self, event: Filled) -> Box:
        return replace(self, items=(*self.items, event.item))

    @evolve
    def emptied(self, event: Emptied) -> Box:
        return replace(self, items=())


EVENTS = st.lists(st.one_of(st.integers(0, 9).map(lambda item: Filled(box="a", item=item)), st.just(Emptied(box="a"))))


def stored(events: Sequence[Event]) -> list[StoredPayload]:
    return [
        StoredPayload(position, type(each).message_name, 1, encode(each)) for position, each in enumerate(events, 1)
    ]


def by_hand(events: Sequence[Any]) -> tuple[int, ...]:
    items: list[int] = []
    for each in events:
        items = [*items, each.item] if isinstance(each, Filled) else []
    return tuple(items)


@given(EVENTS, st.data())
def test_a_state_is_the_same_however_its_events_are_divided(events: list[Event], data: st.DataObject) -> None:
    """From a snapshot on, event by event, or all at once: what comes out is what the events say."""
    fold, cut = fold_of(Box), data.draw(st.integers(0, len(events)))
    begun = fold.initial("a")
    whole = fold.replay(begun, stored(events))
    assert fold.replay(fold.replay(begun, stored(events[:cut])), stored(events[cut:])) == whole
    applied = begun
    for each in events:
        applied = fold.apply(applied, each)
    assert applied == whole
    assert whole.items == by_hand(events)
    assert begun == Box(key="a"), "a state is a value: folding makes new ones"


def test_what_a_fold_does_not_know_changes_nothing() -> None:
    """A state depends on its own events; others of its key pass by."""
    state = Box(key="a", items=(1,))
    assert fold_of(Box).apply(state, Labelled(box="a")) is state


def test_a_stored_event_that_does_not_fit_is_named_by_its_position() -> None:
    """Whoever has to find it is told where it is, of which class, and what would read it."""
    damaged = [*stored([Filled(box="a", item=1)]), StoredPayload(7, "Filled", 1, b'{"box":"a","item":"two"}')]
    with pytest.raises(LogCorrupted, match=r"position 7 does not fit .*Filled: .*@upcast"):
        fold_of(Box).replay(Box(key="a"), damaged)


class Careless(Aggregate, key=BoxId):
    """Its steps return what is not the next state of the same key."""

    filled_items: int = 0

    @evolve
    def filled(self, event: Filled) -> Careless:
        other: Any = {0: None, 1: Box(key=self.key), 2: replace(self, key="b")}[event.item]
        return other  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("item", "told"), [(0, "missing in the @evolve"), (1, "return replace"), (2, "does not change")]
)
def test_a_step_returns_the_next_state_of_the_same_key(item: int, told: str) -> None:
    """A forgotten return, a state of another class or of another key is told where it is made, and not where it is missed."""
    fold, event = fold_of(Careless), Filled(box="a", item=item)
    with pytest.raises(TypeError, match=told):
        fold.apply(Careless(key="a"), event)
    with pytest.raises(TypeError, match=told):
        fold.replay(Careless(key="a"), stored([event]))
