"""Whatever way parts of what a source has published come, they are handed on in the order of its log, each once."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.messaging import Delivery, InOrder, Published, Resequencer, messages, part_of


def published(position: int) -> Published:
    return Published(f"id-{position}", "till", "Sold", 1, f"item:{position % 3}", position, 5, msgspec.Raw(b"{}"))


def parts_of(*deliveries: Delivery) -> list[Delivery]:
    return [
        part_of(message.attributes, message.data, "till") for delivery in deliveries for message in messages(delivery)
    ]


def cut(positions: list[int], ends: list[int], head: int) -> list[Delivery]:
    """Return what a relay publishes if it reads the log in batches that end at these positions."""
    deliveries, after = [], 0
    for end in [*sorted({*ends} - {head}), head]:
        events = [published(each) for each in positions if after < each <= end]
        deliveries.append(Delivery("till", events, end, after))
        after = end
    return deliveries


LOGS = st.integers(1, 30).flatmap(
    lambda head: st.tuples(
        st.lists(st.integers(1, head), unique=True).map(sorted),
        st.lists(st.lists(st.integers(1, head), unique=True), min_size=1, max_size=3),
        st.just(head),
    )
)


@given(LOGS, st.data())
def test_all_of_a_log_comes_once_and_in_order(log: tuple[list[int], list[list[int]], int], data: st.DataObject) -> None:
    """However relays before and after a restart cut it into batches, and in whatever order a broker brings those."""
    positions, relays, head = log
    parts = [part for ends in relays for part in parts_of(*cut(positions, ends, head))]
    numbered = data.draw(st.permutations([*enumerate(parts)]))
    waiting = Resequencer[int]("till", 0)
    seen: list[int] = []
    settled: list[int] = []
    reached = 0
    for token, part in numbered:
        waiting.add(part, token)
        if data.draw(st.booleans()) and (taken := waiting.take()):
            assert taken.delivery.after == reached
            reached = taken.delivery.position
            seen += [event.position for event in taken.delivery.events]
            settled += taken.tokens
    if taken := waiting.take():
        seen += [event.position for event in taken.delivery.events]
        settled += taken.tokens
    assert seen == positions
    assert sorted(settled) == [*range(len(parts))]
    assert waiting.held == 0


@given(LOGS, st.integers(0, 30), st.data())
def test_nothing_is_settled_that_was_not_handed_on(
    log: tuple[list[int], list[list[int]], int], after: int, data: st.DataObject
) -> None:
    """What came too early keeps its token until what belongs before it has come: a crash meanwhile must not lose it."""
    positions, relays, head = log
    parts = parts_of(*cut(positions, relays[0], head))
    missing = data.draw(st.integers(0, len(parts) - 1))
    waiting = Resequencer[int]("till", min(after, head))
    for token, part in enumerate(parts):
        if token != missing:
            waiting.add(part, token)
    taken = waiting.take()
    if parts[missing].position > min(after, head):
        reached = max(parts[missing].after, min(after, head))
        assert taken is None or all(parts[token].position <= reached for token in taken.tokens)
        assert waiting.held == len(parts) - 1 - missing
    else:
        assert waiting.held == 0


def test_what_has_no_position_goes_on_at_once() -> None:
    """Of somebody who keeps no log nothing can be missing; nor does it say anything of how far the others are."""
    waiting = Resequencer[str]("till", 5)
    waiting.add(Delivery("till", [published(0)], 0), "foreign")
    taken = waiting.take()
    assert taken is not None
    assert (taken.delivery.position, [event.id for event in taken.delivery.events]) == (5, ["id-0"])


def test_a_repetition_is_settled_and_not_handed_on() -> None:
    """It has been heard already: what is left of it is its place in the broker's account."""
    waiting = Resequencer[str]("till", 5)
    waiting.add(*(Delivery("till", [published(4)], 4, 3), "again"))
    assert waiting.take() == InOrder(Delivery("till", [], 5, 5), ["again"])


def test_who_waits_in_vain_says_for_what() -> None:
    """And what to do, as a broker may have removed it for good."""
    waiting = Resequencer[int]("till", 5)
    waiting.add(Delivery("till", [published(9)], 9, 7), 1)
    assert (waiting.take(), waiting.held) == (None, 1)
    assert "after position 5 and up to 7 has not come, and 1 messages that follow it have" in str(waiting.missing())
    assert "twofold publish-again module:till" in str(waiting.missing())


ORDERS: dict[str, Callable[[list[Any]], list[Any]]] = {"in order": list, "backwards": lambda parts: parts[::-1]}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_delivery_of_many_is_put_together_again(order: Callable[[list[Any]], list[Any]]) -> None:
    """Also the stretch after its last event, in which nothing was published."""
    delivery = Delivery("till", [published(position) for position in range(3, 60, 2)], 70)
    waiting = Resequencer[int]("till", 0)
    for token, part in enumerate(order(parts_of(delivery))):
        waiting.add(part, token)
    taken = waiting.take()
    assert taken is not None
    assert taken.delivery == delivery
