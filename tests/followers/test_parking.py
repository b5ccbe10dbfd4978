"""Parked events: in which order their rows are changed."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from twofold.followers import FollowerStore, parking
from twofold.followers.session import Unit, perform


class Recording:
    """A store of which only the rows are of interest that a unit changes."""

    def __init__(self, parked: dict[str, int]) -> None:
        self.parked = parked
        self.changed: list[Any] = []

    async def run(self, unit: Unit[int]) -> int:
        return perform(unit(), self)

    def fetch(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return list(self.parked.items())

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        self.changed += [key for _, key in rows]


def test_all_who_ask_for_retries_lock_the_keys_in_one_order() -> None:
    """In whichever order they name them, and once each: two who name them the other way round do not wait for each other."""
    for keys in (["a", "b", "c"], ["c", "b", "none", "a", "c"]):
        store = Recording({"b": 2, "c": 1, "a": 1})
        assert asyncio.run(parking.request_retry(cast("FollowerStore", store), "orders", keys)) == 4
        assert store.changed == ["a", "b", "c"]
