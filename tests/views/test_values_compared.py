"""Comparing rows by their values, for values that nobody has thought of."""

import asyncio
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold import Views
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.testing.view_values import COMPARED, Priority, Word, check_comparisons, check_order, fill, view_of
from twofold.views import layout

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "IntEnum": st.sampled_from(Priority),
    "StrEnum": st.sampled_from(Word),
    "UUID": st.uuids(),
    "bytes": st.binary(max_size=5),
    "date": st.dates(),
    "timedelta": st.timedeltas(timedelta(days=-(10**8)), timedelta(days=10**8)),
    "local datetime": st.datetimes(),
    "datetime": st.datetimes(timezones=ZONES),
    "time": st.times(),
}


@pytest.mark.parametrize("name", VALUES)
def test_rows_are_compared_as_their_values_are(name: str) -> None:
    """Whatever they are: by conditions, in order, and after they have come back."""
    view = view_of(COMPARED[name][0])

    @given(st.lists(VALUES[name], min_size=1, max_size=6))
    @settings(max_examples=25)
    def holds(values: list[Any]) -> None:
        async def scenario() -> None:
            store = SqliteViews(":memory:", SystemClock())
            await store.open()
            try:
                rows = await fill(store, view, values)
                for bound in values:
                    await check_comparisons(Views(store), view, rows, bound)
                await check_order(Views(store), view, rows)
            finally:
                await store.close()

        asyncio.run(scenario())

    holds()


@given(st.datetimes(timezones=ZONES), st.datetimes(timezones=ZONES))
def test_an_instant_beyond_the_calendar_keeps_its_place(one: Any, other: Any) -> None:
    """In UTC it may be in the year 0 or 10,000, of which Python knows nothing; it comes back equal all the same."""
    column = layout(view_of(COMPARED["datetime"][0])).columns[1]
    edges = [
        each.replace(year=year, month=month, day=day)
        for each in (one, other)
        for year, month, day in ((1, 1, 1), (9999, 12, 31))
    ]
    for left in (one, *edges):
        assert column.unpack(column.pack(left)) == left
        for right in (other, *edges):
            assert (left < right) is (column.pack(left) < column.pack(right))
