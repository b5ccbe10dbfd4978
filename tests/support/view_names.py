"""Views with names and shapes at the edge of what every database takes."""

from __future__ import annotations

import asyncio
from types import new_class
from typing import Annotated, Any, Self

from sqlalchemy import select

from twofold import Event, Index, Service, Tag, View, evolve
from twofold.followers import Checkpoint, claiming
from twofold.views import TableChange, ViewStore, layout, replacing, schema
from twofold.views.bounds import Packer
from twofold.views.shadow import shadow_layout
from twofold.views.tables import table_of

Key = Annotated[str, Tag("key")]


class Said(Event):
    key: Key


class _Template:
    @evolve
    def said(self, event: Said) -> Self:
        return self


def view(name: str, *fields: str, hint: Any = int, folded: bool = True) -> Any:
    """Return a view of that name, with fields of these names."""
    body: dict[str, Any] = {"__annotations__": dict.fromkeys(fields, hint), **dict.fromkeys(fields, 0)}
    if folded:
        body["said"] = _Template.said
    return new_class(name, (View,), {"key": Key}, lambda namespace: namespace.update(body))


LONG = "A" + "b" * 59

ALLOWED = {
    "longest": view(LONG[:60], "a" * 63, hint=Annotated[int, Index]),
    "its neighbour": view(LONG[:58] + "zz", "b" + "a" * 62, "c" + "a" * 62, hint=Annotated[int, Index]),
    "rowid": view("Plain", "rowid", "oid", "_rowid_", "index", "table"),
    "not english": view("Größe", "höhe", "é"),
    "of postgresql": view("PgThings", "user"),
    "many": view("Plain", *[f"f{n}" for n in range(900)]),
}


async def check_allowed(store: ViewStore, plain: Any) -> None:
    """Check that rows can be written, found and rebuilt."""
    Service("names", views=[plain])
    shape = layout(plain)
    rows = [plain(key=f"k{n}", **dict.fromkeys([c.name for c in shape.columns[1:]], n)) for n in range(70)]
    await schema.create(store, shape)
    (claim,) = await claiming.attend(store, "test", [shape.table], 600)
    await store.commit(Checkpoint(claim, 1), [TableChange(shape, Packer(shape).rows(rows), [])])
    for expected in (rows, rows[:7], rows[:3]):
        found = await store.select(select(table_of(plain)).order_by(table_of(plain).c.key))
        assert sorted([plain(**row._mapping) for row in found], key=lambda row: row.key) == sorted(
            expected, key=lambda row: row.key
        )
        assert await store.load(shape, ["k1"]) == [Packer(shape).row(rows[1])]
        assert await replacing.begin(store, shape.table, [shape])
        follower = f"{shape.table}:rebuild"
        (shadow,) = [
            each for each in await claiming.attend(store, "test", [follower], 600) if each.follower == follower
        ]
        kept = rows[:7] if len(expected) == 70 else rows[:3]
        change = TableChange(shadow_layout(shape), Packer(shape).rows(kept), [])
        await store.commit(Checkpoint(shadow, 2), [change])
        while not await replacing.take_over(store, shape.table, [shape]):
            await asyncio.sleep(0.01)
