"""Names and shapes that one database refuses are refused where the service is declared, whatever its database."""

import asyncio
from typing import Annotated

import pytest

from tests.support.view_names import ALLOWED, Said, check_allowed, view
from twofold import Index, Service, project
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import DeclarationError
from twofold.views import Transaction, layout
from twofold.views.shadow import shadow_table

REFUSED = {
    "table": ([view("A" + "b" * 63)], r"Abbb.*67 bytes.*63.*shorter name"),
    "wide table": ([view("Ö" * 31)], "Ö.*65 bytes.*shorter name"),
    "column": ([view("Plain", "a" * 64)], "a of Plain has a name of 64 bytes.*shorter name"),
    "wide column": ([view("Plain", "ü" * 32)], "ü of Plain has a name of 64 bytes"),
    "no name": ([view("o'brien")], "o'brien.*not named as a class"),
    "sqlite": ([view("SqliteThings")], "sqlite_things_v1.*another name"),
    "system": ([view("Plain", "xmin")], "xmin of Plain.*PostgreSQL.*another name"),
    "upper system": ([view("Plain", "CTID")], "CTID of Plain"),
    "case": ([view("Plain", "a", "A")], "A of Plain differs from a by upper and lower case"),
    "key": ([view("Plain", "Key")], "Key of Plain differs from key"),
    "fields": ([view("Plain", *[f"f{n}" for n in range(1_000)])], "Plain has 1001 fields.*a struct or a dict"),
    "texts": ([view("Plain", *[f"f{n}" for n in range(400)], hint=str)], "Plain has 401 fields"),
    "index": (
        [view("A", "b_v1", hint=Annotated[int, Index]), view("A_v1_by_b")],
        "A and A_v1_by_b would both have .* a_v1_by_b_v1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_one_database_refuses_is_no_view(case: str) -> None:
    """The text names the class and the field, and says what to do."""
    views, text = REFUSED[case]
    with pytest.raises(DeclarationError, match=text):
        Service("names", views=views)


def test_a_projection_is_not_called_as_a_view_that_is_folded() -> None:
    """They would be one follower."""
    plain, other = view("Plain"), view("Other", folded=False)

    async def plain_function(event: Said, rows: Transaction) -> None:
        pass

    plain_function.__name__ = "plain"
    with pytest.raises(DeclarationError, match="are the follower plain_v1"):
        Service("names", views=[plain], projections=[project(other)(plain_function)])


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_allowed_has_a_table_on_sqlite(case: str) -> None:
    """Also with the longest names, of which shadows and indexes have longer ones, and in batches of many rows."""

    async def scenario() -> None:
        store = SqliteViews(":memory:", SystemClock())
        await store.open()
        await check_allowed(store, ALLOWED[case])
        await store.close()

    asyncio.run(scenario())


def test_long_names_that_begin_alike_have_shadows_of_their_own() -> None:
    """As their names are too long to be followed by a word, they end in what tells them apart."""
    shadows = [shadow_table(layout(ALLOWED[each]).table) for each in ("longest", "its neighbour")]
    assert len({*shadows}) == 2
    assert all(len(each.encode()) <= 63 for each in shadows)
