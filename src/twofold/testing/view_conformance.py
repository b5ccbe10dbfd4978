"""What a database for views must hold to, as tests. Whoever writes an adapter runs them on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from twofold.errors import DeclarationError, ValueRefused
from twofold.followers import Checkpoint, Claim, Parked, checkpoints, claiming, parking
from twofold.messages import Tag
from twofold.testing.claim_conformance import ENDED, LEASE_SECONDS, loses
from twofold.testing.samples import EVERYTHING, ODD_KEYS, Colour, Count, Everything, OnlyKey, Reserved
from twofold.testing.view_keys import ViewKeys
from twofold.views import Index, TableChange, View, ViewStore, layout, replacing, schema
from twofold.views.bounds import Packer
from twofold.views.tables import table_of

T = TypeVar("T")


class ViewConformance(ViewKeys):
    """Subclass it, and give it stores::

        class TestMyViews(ViewConformance):
            @pytest.fixture
            def stores(self, tmp_path):
                return lambda: MyViews(tmp_path / "views")

    Each call has to return a new instance on the same database, which is empty when the test begins. A database that
    belongs to one object may return that object again.
    """

    # Tables and rows.

    @pytest.mark.parametrize("row", EVERYTHING, ids=["defaults", "extremes", "others"])
    def test_a_row_comes_back_as_it_was_written(self, stores: Any, row: Everything) -> None:
        """By its key and by a statement, for every type that a field may have: same values, same types."""

        async def scenario(store: ViewStore) -> None:
            await _write(store, row)
            shape = layout(Everything)
            (stored,) = await store.load(shape, [Packer(shape).key(row.key)])
            (selected,) = await store.select(select(table_of(Everything)))
            assert shape.unpack(stored) == row
            assert Everything(**selected._mapping) == row
            assert repr(shape.unpack(stored).money) == repr(row.money)

        self.run(stores, scenario)

    def test_keys_are_values(self, stores: Any) -> None:
        """Whatever characters are in them, each finds its own row, and is deleted alone."""

        async def scenario(store: ViewStore) -> None:
            claim = await _write(store, *[Count(key=key, number=n) for n, key in enumerate(ODD_KEYS)])
            for n, key in enumerate(ODD_KEYS):
                assert await store.load(layout(Count), [key]) == [(key, n)]
            for n, key in enumerate(ODD_KEYS, 1):
                await store.commit(Checkpoint(claim, 1), [TableChange(layout(Count), [], [key])])
                assert len(await _rows(store, Count)) == len(ODD_KEYS) - n

        self.run(stores, scenario)

    def test_many_rows_are_written_read_and_deleted_at_once(self, stores: Any) -> None:
        """A batch may touch thousands; keys without a row are left out, and no keys find no rows."""
        keys = [f"sku-{n:04}" for n in range(3000)]

        async def scenario(store: ViewStore) -> None:
            claim = await _write(store, *[Count(key=key, number=n) for n, key in enumerate(keys)])
            found = await store.load(layout(Count), [*keys, *[f"absent-{n}" for n in range(3000)]])
            assert sorted(found) == [(key, n) for n, key in enumerate(keys)]
            assert await store.load(layout(Count), []) == []
            await store.commit(Checkpoint(claim, 2), [TableChange(layout(Count), [], keys[1:])])
            assert await _rows(store, Count) == [Count(key=keys[0], number=0)]

        self.run(stores, scenario)

    def test_a_row_replaces_the_one_of_its_key(self, stores: Any) -> None:
        """As a whole: what was set before and is not set now is gone."""

        async def scenario(store: ViewStore) -> None:
            first = Everything(key=UUID(int=1), text="first", maybe_text="something")
            second = Everything(key=UUID(int=1), text="second")
            await _write(store, first)
            await _write(store, second)
            assert await _rows(store, Everything) == [second]

        self.run(stores, scenario)

    def test_a_view_may_be_nothing_but_keys(self, stores: Any) -> None:
        """A set: what is in it already stays."""

        async def scenario(store: ViewStore) -> None:
            await _write(store, OnlyKey(key=1), OnlyKey(key=2**63 - 1))
            await _write(store, OnlyKey(key=1))
            assert await _rows(store, OnlyKey) == [OnlyKey(key=1), OnlyKey(key=2**63 - 1)]

        self.run(stores, scenario)

    def test_fields_may_be_called_as_words_of_sql(self, stores: Any) -> None:
        """Users name fields after their trade."""

        async def scenario(store: ViewStore) -> None:
            row = Reserved(key="a", order=1, group="g", select=True)
            await _write(store, row)
            assert await store.load(layout(Reserved), ["a"]) == [("a", 1, "g", True)]
            assert await _rows(store, Reserved) == [row]

        self.run(stores, scenario)

    def test_processes_that_start_together_make_a_table_once(self, stores: Any) -> None:
        """Whoever comes second finds it made, and both can go on."""

        async def scenario(*opened: ViewStore) -> None:
            views = [Count, Reserved, Everything]
            await asyncio.gather(*[schema.create(store, layout(view)) for view in views for store in opened * 2])
            await _write(opened[0], Count(key="lamp", number=1))
            assert await _rows(opened[-1], Count) == [Count(key="lamp", number=1)]

        self.run(stores, scenario, 3)

    def test_a_table_with_other_columns_is_refused(self, stores: Any) -> None:
        """The text names the view, and the version that would make a table of its own."""

        async def scenario(store: ViewStore) -> None:
            await schema.create(store, layout(Count))
            for changed in _changed_counts():
                with pytest.raises(DeclarationError, match=r"Count.*count_v1.*version=2"):
                    await schema.create(store, layout(changed))
            await schema.create(store, layout(Count))

        self.run(stores, scenario)

    # Statements.

    def test_statements_see_what_is_stored(self, stores: Any) -> None:
        """Conditions, order and sums over the values as the program knows them."""
        at = datetime(2026, 1, 1, tzinfo=UTC)
        rows = [
            Everything(key=UUID(int=n), whole=n, yes=n % 2 == 0, at=at + timedelta(microseconds=n)) for n in range(9)
        ]

        async def scenario(store: ViewStore) -> None:
            await _write(store, *rows)
            c = Everything.c
            even = await store.select(select(c.whole).where(c.yes).order_by(c.whole.desc()))
            late = await store.select(select(c.whole).where(c.at > rows[4].at, c.colour == Colour.RED).order_by(c.at))
            total = await store.select(select(func.sum(c.whole)).where(c.key != UUID(int=8)))
            assert [whole for (whole,) in even] == [8, 6, 4, 2, 0]
            assert [whole for (whole,) in late] == [5, 6, 7, 8]
            assert int(total[0][0]) == sum(range(8))

        self.run(stores, scenario)

    def test_a_batch_may_run_statements_of_its_own(self, stores: Any) -> None:
        """They are part of the transaction, and run where they stand among the rows that the batch puts and deletes."""
        table = table_of(Count)

        async def scenario(store: ViewStore) -> None:
            claim = await _claim(store, Count)
            statements = [
                update(table).values(number=table.c.number + 10),
                delete(table).where(table.c.number == 12),
            ]
            puts = _puts(*[Count(key=f"sku-{n}", number=n) for n in range(4)])
            later = TableChange(layout(Count), [("sku-2", 2)], ["sku-0"])
            await store.commit(Checkpoint(claim, 1), [puts, *statements, later, *statements[:1]])
            assert [row.number for row in await _rows(store, Count)] == [21, 12, 23]

        self.run(stores, scenario)

    def test_a_preview_shows_what_writes_would_do_and_keeps_nothing(self, stores: Any) -> None:
        """Rows and statements in order; what cannot be written is refused as it would be, and what is there stays."""
        table = table_of(Count)
        emptied = [
            TableChange(layout(Count), [("vase", 2)], ["chair"]),
            update(table).values(number=table.c.number + 10),
            TableChange(layout(Count), [("desk", 3)], []),
        ]

        async def scenario(store: ViewStore) -> None:
            rows = [Count(key="chair", number=0), Count(key="lamp", number=1)]
            claim = await _write(store, *rows)
            shape, keys = layout(Count), ["chair", "lamp", "vase", "desk", "none"]
            assert sorted(await store.preview(emptied, shape, keys)) == [("desk", 3), ("lamp", 11), ("vase", 12)]
            assert await store.preview([], shape, ["lamp"]) == [("lamp", 1)]
            for wrong in (TableChange(shape, [("lamp", None)], []), select(func.no_such_function(1))):
                with pytest.raises(Exception) as failure:
                    await store.preview([*emptied, wrong], shape, keys)
                assert isinstance(failure.value, ValueRefused)
            assert await _rows(store, Count) == rows
            await store.commit(Checkpoint(claim, 2), emptied)
            assert await _rows(store, Count) == [
                Count(key="desk", number=3), Count(key="lamp", number=11), Count(key="vase", number=12)
            ]  # fmt: skip

        self.run(stores, scenario)

    # All or nothing.

    @pytest.mark.parametrize("fails", ["a number", "a text", "a hole", "a statement"])
    def test_what_cannot_be_stored_leaves_nothing(self, stores: Any, fails: str) -> None:
        """Neither rows nor checkpoint nor parked events; it is called refused, and not away: trying again would not help."""

        async def scenario(store: ViewStore) -> None:
            claim = await _write(store, Count(key="lamp", number=1))
            row: tuple[Any, ...] = {"a number": ("vase", 2**63), "a text": ("\ud800", 2), "a hole": ("vase", None)}.get(
                fails, ("vase", 2)
            )
            statements = [select(func.no_such_function(1))] if fails == "a statement" else []
            parked = Parked("count_v1", "sku:vase", 2, "broken", 1, 5)
            changes = TableChange(layout(Count), [("lamp", 5), row], [])
            with pytest.raises(ValueRefused):
                await store.commit(Checkpoint(claim, 2, (parked,)), [changes, *statements])
            assert await _rows(store, Count) == [Count(key="lamp", number=1)]
            assert await checkpoints.position(store, "count_v1") == 1
            assert await parking.parked(store) == []
            await store.commit(Checkpoint(claim, 3), [_puts(Count(key="lamp", number=7))])
            assert await _rows(store, Count) == [Count(key="lamp", number=7)]

        self.run(stores, scenario)

    def test_who_lost_the_lease_stores_nothing(self, stores: Any) -> None:
        """A process that was only slow must not write over what its successor has done."""

        async def scenario(slow: ViewStore, quick: ViewStore) -> None:
            old = await _claim(slow, Count, lease_seconds=ENDED)
            new = await _claim(quick, Count, owner="quick")
            await quick.commit(Checkpoint(new, 5), [_puts(Count(key="lamp", number=5))])
            parked = (Parked("count_v1", "sku:lamp", 4, "broken", 1, 5),)
            with loses():
                await slow.commit(Checkpoint(old, 9, parked), [_puts(Count(key="lamp", number=9))])
            with loses():
                await slow.commit(Checkpoint(old, 9), [update(table_of(Count)).values(number=9)])
            with loses():
                await slow.commit(Checkpoint(old, 9))
            assert await _rows(slow, Count) == [Count(key="lamp", number=5)]
            assert (await checkpoints.position(slow, "count_v1"), await parking.parked(slow)) == (5, [])
            await quick.commit(Checkpoint(new, 6))

        self.run(stores, scenario, 2)

    def test_what_one_instance_stored_the_others_see(self, stores: Any) -> None:
        """At once: a query in another process, asked after a receipt, has to find its effect."""

        async def scenario(writer: ViewStore, reader: ViewStore) -> None:
            claim = await _claim(writer, Count)
            for number in range(1, 101):
                await writer.commit(Checkpoint(claim, number), [_puts(Count(key="lamp", number=number))])
                assert await checkpoints.position(reader, "count_v1") == number
                assert await reader.load(layout(Count), ["lamp"]) == [("lamp", number)]

        self.run(stores, scenario, 2)

    def test_where_a_follower_stands_differs_whenever_its_rows_may(self, stores: Any) -> None:
        """Moved, parked, retried at the same position, rewound and there again: never twice the same, in any instance."""

        async def scenario(follower: ViewStore, reader: ViewStore) -> None:
            assert await checkpoints.standings(reader) == {}
            stood = []

            async def stands(position: int) -> None:
                found = await checkpoints.standings(reader)
                assert found.keys() == {"count_v1"}
                assert found["count_v1"].position == position
                assert found["count_v1"] not in stood
                assert await checkpoints.standings(follower) == found == await checkpoints.standings(reader)
                stood.append(found["count_v1"])

            claim = await _park_two_keys(follower)
            await stands(4)
            await follower.commit(Checkpoint(claim, 4, unparked=(("sku:a", 2),)), [_puts(Count(key="a", number=1))])
            await stands(4)
            await follower.commit(Checkpoint(claim, 5))
            await stands(5)
            await claiming.split(reader, "count_v1", 2)
            await stands(5)
            halves = await claiming.attend(follower, "ann", ["count_v1"], LEASE_SECONDS)
            await stands(5)
            await follower.commit(Checkpoint(halves[0], 6), [_puts(Count(key="b", number=1))])
            await stands(5)
            await replacing.rewind(reader, "count_v1", ["count_v1"])
            await stands(0)
            for half in await claiming.attend(follower, "ann", ["count_v1"], LEASE_SECONDS):
                await follower.commit(Checkpoint(half, 5 + (half.segment == halves[0].segment)))
            await stands(5)

        self.run(stores, scenario, 2)

    # What is parked.

    def test_parked_events_are_kept_in_order_of_their_keys(self, stores: Any) -> None:
        """They can be listed by follower and by key, as many as wanted."""

        async def scenario(store: ViewStore) -> None:
            claim = await _claim(store, Count)
            parked = [Parked("count_v1", key, position, "", 0, 5) for key in ("sku:a", "sku:b") for position in (2, 10)]
            await store.commit(Checkpoint(claim, 11, tuple(reversed(parked))))
            assert await parking.parked(store) == parked
            assert await parking.parked(store, "count_v1", "sku:b") == parked[2:]
            assert await parking.parked(store, "count_v1", limit=3) == parked[:3]
            assert await parking.parked(store, "others") == []
            assert await parking.parked_keys(store, "count_v1") == {"sku:a": 2, "sku:b": 2}
            assert await parking.parked_keys(store, "others") == {}
            assert await parking.oldest_parked(store) == [("count_v1", 2, 5)]
            await store.commit(Checkpoint(claim, 11, unparked=(("sku:a", 2), ("sku:b", 10))))
            assert await parking.parked(store) == parked[1:3]
            assert await parking.parked_keys(store, "count_v1") == {"sku:a": 1, "sku:b": 1}

        self.run(stores, scenario)

    def test_parking_again_counts_the_attempts(self, stores: Any) -> None:
        """The latest reason is kept, with when it was parked first."""

        async def scenario(store: ViewStore) -> None:
            claim = await _claim(store, Count)
            await store.commit(Checkpoint(claim, 2, (Parked("count_v1", "sku:a", 2, "first", 4, 5),)))
            await store.commit(Checkpoint(claim, 2, (Parked("count_v1", "sku:a", 2, "second", 1, 9),)))
            assert await parking.parked(store) == [Parked("count_v1", "sku:a", 2, "second", 5, 5)]

        self.run(stores, scenario)

    def test_a_retry_is_asked_for_until_it_has_come_to_an_end(self, stores: Any) -> None:
        """From whichever process: who follows may end before it is done, and another one does it."""

        async def scenario(follower: ViewStore, console: ViewStore) -> None:
            claim = await _park_two_keys(follower)
            assert await parking.due_retries(follower, claim, 5) == []
            assert await parking.request_retry(console, "count_v1", ["sku:a", "sku:none", "sku:a"]) == 2
            assert await parking.request_retry(console, "others", ["sku:a"]) == 0
            assert await parking.due_retries(follower, claim, 5) == ["sku:a"]
            assert await parking.due_retries(follower, claim, 5) == ["sku:a"]
            await follower.commit(Checkpoint(claim, 4, (Parked("count_v1", "sku:a", 2, "again", 1, 5),)))
            assert await parking.due_retries(follower, claim, 5) == []
            assert len(await parking.parked(follower)) == 4

        self.run(stores, scenario, 2)

    def test_a_retry_is_due_at_its_time(self, stores: Any) -> None:
        """Not before, and again only when the event has failed again; what waits behind it has no time of its own."""

        async def scenario(store: ViewStore) -> None:
            claim = await _claim(store, Count)
            later = Parked("count_v1", "sku:a", 2, "broken", 1, 5, 1000)
            await store.commit(Checkpoint(claim, 4, (later, Parked("count_v1", "sku:a", 4, "", 0, 5))))
            assert await parking.parked(store) == [later, Parked("count_v1", "sku:a", 4, "", 0, 5)]
            assert await parking.due_retries(store, claim, 999) == []
            assert await parking.due_retries(store, claim, 1000) == ["sku:a"]
            await store.commit(Checkpoint(claim, 4, (Parked("count_v1", "sku:a", 2, "again", 1, 6, 2000),)))
            assert await parking.due_retries(store, claim, 1000) == []
            assert await parking.due_retries(store, claim, 2000) == ["sku:a"]
            await store.commit(Checkpoint(claim, 4, (Parked("count_v1", "sku:a", 2, "", 0, 7),)))
            assert (await parking.parked(store))[0] == Parked("count_v1", "sku:a", 2, "again", 2, 5, 2000)

        self.run(stores, scenario)

    def test_what_waited_behind_a_discarded_event_is_tried_again(self, stores: Any) -> None:
        """It had not failed itself: without the one that did, nothing holds it back, and nobody has to ask."""

        async def scenario(follower: ViewStore, console: ViewStore) -> None:
            claim = await _park_two_keys(follower)
            assert await parking.discard(console, "count_v1", "sku:a", 2) == 1
            assert [each.position for each in await parking.parked(console, "count_v1", "sku:a")] == [4]
            assert await parking.due_retries(follower, claim, 5) == ["sku:a"]
            assert await parking.discard(console, "count_v1", "sku:b") == 2
            assert await parking.discard(console, "count_v1", "sku:b") == 0
            assert await parking.parked(console, "count_v1", "sku:b") == []

        self.run(stores, scenario, 2)

    def test_a_rewound_follower_begins_anew(self, stores: Any) -> None:
        """Its tables are empty, nothing of it is parked, and whoever followed it until now has lost it."""

        async def scenario(follower: ViewStore, console: ViewStore) -> None:
            old = await _park_two_keys(follower)
            await follower.commit(Checkpoint(old, 9), [_puts(Count(key="a", number=1))])
            other = await _claim(follower, Reserved)
            await follower.commit(Checkpoint(other, 3, (Parked("reserved_v1", "word:a", 3, "broken", 1, 5),)))
            await replacing.rewind(console, "count_v1", ["count_v1"])
            assert (await _rows(console, Count), await checkpoints.position(console, "count_v1")) == ([], 0)
            assert [each.follower for each in await parking.parked(console)] == ["reserved_v1"]
            with loses():
                await follower.commit(Checkpoint(old, 10), [_puts(Count(key="a", number=2))])
            assert (await _claim(follower, Count)).position == 0
            await follower.commit(Checkpoint(other, 4))

        self.run(stores, scenario, 2)


def _changed_counts() -> Iterator[type[View]]:
    key = Annotated[str, Tag("sku")]

    class Count(View, key=key):
        number: Annotated[int, Index] = 0
        more: int = 0

    yield Count

    class Count(View, key=key):  # type: ignore[no-redef]
        number: Annotated[str, Index] = ""

    yield Count

    class Count(View, key=key):  # type: ignore[no-redef]
        pass

    yield Count


def _puts(*rows: View) -> TableChange:
    shape = layout(type(rows[0]))
    return TableChange(shape, Packer(shape).rows(rows), [])


async def _claim(store: ViewStore, view: Any, owner: str = "ann", lease_seconds: float = LEASE_SECONDS) -> Claim:
    await schema.create(store, layout(view))
    table = layout(view).table
    (claim,) = [each for each in await claiming.attend(store, owner, [table], lease_seconds) if each.follower == table]
    return claim


async def _write(store: ViewStore, *rows: Any) -> Claim:
    """Write rows at the follower's next position, with a lease that has ended, so that the next one can do so too."""
    claim = await _claim(store, type(rows[0]), lease_seconds=ENDED)
    await store.commit(Checkpoint(claim, claim.position + 1), [_puts(*rows)])
    return claim


async def _rows(store: ViewStore, view: Any) -> list[Any]:
    table = table_of(view)
    return [view(**row._mapping) for row in await store.select(select(table).order_by(table.c.key))]


async def _park_two_keys(store: ViewStore) -> Claim:
    claim = await _claim(store, Count)
    failed = [Parked("count_v1", key, 2, "broken", 4, 5) for key in ("sku:a", "sku:b")]
    behind = [Parked("count_v1", key, 4, "", 0, 5) for key in ("sku:a", "sku:b")]
    await store.commit(Checkpoint(claim, 4, (*failed, *behind)))
    return claim
