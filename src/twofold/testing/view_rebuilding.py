"""What a database for views must hold to while tables are filled anew beside those that answer."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from sqlalchemy import select

from twofold.followers import Checkpoint, Claim, Parked, Segment, checkpoints, claiming, parking
from twofold.followers.shadow import shadow_follower
from twofold.messages import Tag
from twofold.testing.claim_conformance import ENDED, LEASE_SECONDS, loses
from twofold.testing.samples import Count, Reserved
from twofold.testing.view_values import ViewValues
from twofold.views import Index, TableChange, View, ViewStore, layout, replacing, schema
from twofold.views.shadow import shadow_layout, shadow_table
from twofold.views.tables import table_of

_LIVE, _SHADOW = "count_v1", shadow_follower("count_v1")
_COUNT = [layout(Count)]
_READINGS = 30


class ViewRebuilding(ViewValues):
    """The part of `twofold.testing.ViewConformance` that is about rebuilding."""

    # A shadow is filled.

    def test_a_shadow_is_filled_while_the_table_answers(self, stores: Any) -> None:
        """It begins empty, at the first event, with its own checkpoint; what is stored in one is not seen in the other."""

        async def scenario(store: ViewStore, other: ViewStore) -> None:
            live = await _live(store, lamp=5)
            assert await replacing.begin(other, _LIVE, _COUNT)
            assert await _numbers(other) == {"lamp": 5}
            assert (await checkpoints.position(other, _LIVE), await checkpoints.position(other, _SHADOW)) == (5, 0)
            shadow = await _claim(other, _SHADOW)
            assert (shadow.segment, shadow.position) == (Segment(), 0)
            await _put(other, shadow, 3, lamp=3)
            await _put(store, live, 6, lamp=6)
            assert await _numbers(store) == {"lamp": 6}
            assert await store.load(shadow_layout(layout(Count)), ["lamp"]) == [("lamp", 3)]

        self.run(stores, scenario, 2)

    def test_a_rebuilding_is_begun_once(self, stores: Any) -> None:
        """Whoever asks for it a second time, or at the same time, is told so, and the one under way is not disturbed."""

        async def scenario(*opened: ViewStore) -> None:
            await _live(opened[0], lamp=5)
            begun = await asyncio.gather(*[replacing.begin(store, _LIVE, _COUNT) for store in opened for _ in range(3)])
            assert len([fence for fence in begun if fence]) == 1
            shadow = await _claim(opened[0], _SHADOW)
            await _put(opened[0], shadow, 3, lamp=3)
            assert not await replacing.begin(opened[1], _LIVE, _COUNT)
            await _put(opened[0], shadow, 4, lamp=4)

        self.run(stores, scenario, 3)

    def test_what_was_never_followed_can_be_rebuilt(self, stores: Any) -> None:
        """There is nothing to keep, and nothing in the way."""

        async def scenario(store: ViewStore) -> None:
            await schema.create(store, layout(Count))
            assert await replacing.begin(store, _LIVE, _COUNT)
            shadow = await _claim(store, _SHADOW)
            await _put(store, shadow, 3, lamp=3)
            assert await replacing.take_over(store, _LIVE, _COUNT)
            assert (await _numbers(store), await checkpoints.position(store, _LIVE)) == ({"lamp": 3}, 3)

        self.run(stores, scenario)

    # It takes over.

    def test_a_shadow_does_not_take_over_while_it_is_behind(self, stores: Any) -> None:
        """An answer would go back in time. Where it is as far as what it replaces, it does, and not a moment later."""

        async def scenario(store: ViewStore) -> None:
            live = await _live(store, lamp=5)
            await replacing.begin(store, _LIVE, _COUNT)
            shadow = await _claim(store, _SHADOW)
            await _put(store, shadow, 4, lamp=4)
            assert not await replacing.take_over(store, _LIVE, _COUNT)
            await _put(store, live, 6, lamp=6)
            await _put(store, shadow, 6, lamp=60)
            assert await _numbers(store) == {"lamp": 6}
            assert await replacing.take_over(store, _LIVE, _COUNT)
            assert (await _numbers(store), await checkpoints.position(store, _LIVE)) == ({"lamp": 60}, 6)
            assert [each.follower for each in await checkpoints.progress(store)] == [_LIVE]

        self.run(stores, scenario)

    def test_a_view_can_be_held_until_its_shadow_has_passed(self, stores: Any) -> None:
        """For so long nobody follows it, and what it had done stays; where nobody passes, it is followed again after that."""

        async def scenario(store: ViewStore) -> None:
            live, shadow = await _caught_up_shadow(store, store)
            await _put(store, live, 6, lamp=6)
            assert not await replacing.take_over(store, _LIVE, _COUNT, ENDED)
            await _put(store, live, 7, lamp=7)
            assert not await replacing.take_over(store, _LIVE, _COUNT, LEASE_SECONDS)
            with loses():
                await _put(store, live, 8, lamp=8)
            assert await claiming.attend(store, "somebody", [_LIVE], LEASE_SECONDS) == []
            assert await _numbers(store) == {"lamp": 7}
            await _put(store, shadow, 7, lamp=70)
            assert await replacing.take_over(store, _LIVE, _COUNT)
            live = (await claiming.attend(store, "somebody", [_LIVE], LEASE_SECONDS))[0]
            await replacing.begin(store, _LIVE, _COUNT)
            assert not await replacing.take_over(store, _LIVE, _COUNT, 1e-6)
            (again,) = await claiming.attend(store, "somebody", [_LIVE], LEASE_SECONDS)
            assert again.fence > live.fence
            await _put(store, again, 8, lamp=71)
            assert await _numbers(store) == {"lamp": 71}

        self.run(stores, scenario)

    def test_taking_over_shuts_out_who_followed_before(self, stores: Any) -> None:
        """Both of them: their next batch was folded into rows that are not there any more. Who follows next goes on."""

        async def scenario(store: ViewStore, other: ViewStore) -> None:
            live, shadow = await _caught_up_shadow(store, other)
            assert shadow.fence > live.fence
            assert await replacing.take_over(other, _LIVE, _COUNT)
            for follower, claim in ((store, live), (other, shadow)):
                with loses():
                    await _put(follower, claim, 9, lamp=9)
            successor = await _claim(other, _LIVE)
            assert (successor.segment, successor.position) == (Segment(), 5)
            assert successor.fence > max(live.fence, shadow.fence)
            await _put(other, successor, 6, lamp=61)
            assert (await _numbers(store), await checkpoints.position(store, _LIVE)) == ({"lamp": 61}, 6)

        self.run(stores, scenario, 2)

    def test_what_the_shadow_has_parked_is_kept(self, stores: Any) -> None:
        """And what its predecessor had is not: that has been tried again, with whatever came of it."""

        async def scenario(store: ViewStore) -> None:
            live, shadow = await _caught_up_shadow(store, store)
            await store.commit(Checkpoint(live, 5, (Parked(_LIVE, "sku:a", 2, "broken", 4, 5),)))
            await store.commit(Checkpoint(shadow, 5, (Parked(_SHADOW, "sku:b", 3, "broken", 4, 5),)))
            assert await replacing.take_over(store, _LIVE, _COUNT)
            assert await parking.parked(store) == [Parked(_LIVE, "sku:b", 3, "broken", 4, 5)]

        self.run(stores, scenario)

    def test_several_that_have_it_take_over_do_so_once(self, stores: Any) -> None:
        """Who comes second finds it done; where none was begun, nothing happens at all."""

        async def scenario(*opened: ViewStore) -> None:
            await _caught_up_shadow(*opened[:2])
            done = await asyncio.gather(
                *[replacing.take_over(store, _LIVE, _COUNT) for store in opened for _ in range(3)]
            )
            assert True in done
            assert await replacing.take_over(opened[0], _LIVE, _COUNT)
            assert (await _numbers(opened[0]), await checkpoints.position(opened[0], _LIVE)) == ({"lamp": 50}, 5)

        self.run(stores, scenario, 3)

    def test_a_view_can_be_rebuilt_again_and_again(self, stores: Any) -> None:
        """The table that took over is the view's in every respect: the next start finds the columns that it expects."""

        async def scenario(store: ViewStore) -> None:
            await _live(store, lamp=1)
            for position in range(6, 9):
                assert await replacing.begin(store, _LIVE, _COUNT)
                await _put(store, await _claim(store, _SHADOW), position, lamp=position)
                assert await replacing.take_over(store, _LIVE, _COUNT)
                await schema.create(store, layout(Count))
                assert await _numbers(store) == {"lamp": position}
                assert not await schema.has(store, shadow_layout(layout(Count)))

        self.run(stores, scenario)

    def test_several_tables_are_replaced_together(self, stores: Any) -> None:
        """Those of a projection have one checkpoint, and so one moment."""
        both = [layout(Count), layout(Reserved)]

        async def scenario(store: ViewStore) -> None:
            for each in both:
                await schema.create(store, each)
            live = await _claim(store, "counted_v1")
            await store.commit(Checkpoint(live, 5), [_change(both[0], lamp=5), _change(both[1], a=(5, "", 0))])
            await replacing.begin(store, "counted_v1", both)
            shadow = await _claim(store, shadow_follower("counted_v1"))
            shadows = [shadow_layout(each) for each in both]
            await store.commit(Checkpoint(shadow, 5), [_change(shadows[0], lamp=6), _change(shadows[1], b=(6, "", 0))])
            assert await replacing.take_over(store, "counted_v1", both)
            assert await store.load(both[0], ["lamp"]) == [("lamp", 6)]
            assert await store.load(both[1], ["a", "b"]) == [("b", 6, "", False)]

        self.run(stores, scenario)

    def test_no_reader_fails_or_goes_back_while_tables_are_replaced(self, stores: Any) -> None:
        """By key and by statement, in this instance and in others, in the middle of whatever they do."""

        async def scenario(writer: ViewStore, *readers: ViewStore) -> None:
            await _live(writer, lamp=1)
            ended = asyncio.Event()
            reading = [asyncio.create_task(_watch(each, ended)) for each in (writer, *readers) for _ in range(2)]
            for number in range(2, 2 + _READINGS):
                await replacing.begin(writer, _LIVE, _COUNT)
                await _put(writer, await _claim(writer, _SHADOW), 5 + number, lamp=number)
                while not await replacing.take_over(writer, _LIVE, _COUNT):
                    pass
            ended.set()
            for seen in await asyncio.gather(*reading):
                assert seen == sorted(seen)
                assert seen[-1] == 1 + _READINGS

        self.run(stores, scenario, 3)

    def test_no_key_goes_back_whatever_the_segments_are(self, stores: Any) -> None:
        """A follower may be divided meanwhile: what counts is that every key is as far as it was."""

        async def scenario(store: ViewStore) -> None:
            await _live(store, lamp=5)
            await replacing.begin(store, _LIVE, _COUNT)
            await claiming.split(store, _LIVE, 2)
            first, second = await _claims(store, _LIVE)
            await store.commit(Checkpoint(first, 9))
            shadow = await _claim(store, _SHADOW)
            await store.commit(Checkpoint(shadow, 8))
            assert not await replacing.take_over(store, _LIVE, _COUNT)
            await claiming.split(store, _SHADOW, 4)
            quarters = await _claims(store, _SHADOW)
            for claim in quarters[:2]:
                await store.commit(Checkpoint(claim, 9))
            assert await replacing.take_over(store, _LIVE, _COUNT)
            places = [(each.segment.low, each.position) for each in await checkpoints.progress(store)]
            assert places == [(quarter.segment.low, at) for quarter, at in zip(quarters, (9, 9, 8, 8), strict=True)]
            with loses():
                await store.commit(Checkpoint(second, 10))

        self.run(stores, scenario)

    # It is given up, or not wanted any more.

    def test_a_rebuilding_that_was_given_up_leaves_nothing(self, stores: Any) -> None:
        """And who still follows for it stores nothing in the next one."""

        async def scenario(store: ViewStore) -> None:
            live, shadow = await _caught_up_shadow(store, store)
            assert await replacing.drop(store, _SHADOW, [shadow_table(_LIVE)], even_if_declared=True)
            assert not await schema.has(store, shadow_layout(layout(Count)))
            assert [each.follower for each in await checkpoints.progress(store)] == [_LIVE]
            await replacing.begin(store, _LIVE, _COUNT)
            await _claim(store, _SHADOW)
            with loses():
                await _put(store, shadow, 7, lamp=7)
            await _put(store, live, 6, lamp=6)
            assert await _numbers(store) == {"lamp": 6}

        self.run(stores, scenario)

    def test_what_somebody_follows_is_not_dropped(self, stores: Any) -> None:
        """A process of earlier code answers from it; once there is none, all of it goes."""

        async def scenario(store: ViewStore, other: ViewStore) -> None:
            live = await _live(store, lamp=5)
            await store.commit(Checkpoint(live, 5, (Parked(_LIVE, "sku:a", 2, "broken", 4, 5),)))
            await checkpoints.mark_caught_up(store, [_LIVE, "other_v1"])
            assert not await replacing.drop(other, _LIVE, [_LIVE])
            assert await _numbers(store) == {"lamp": 5}
            await claiming.leave(store, f"follower of {_LIVE}")
            assert await replacing.drop(other, _LIVE, [_LIVE])
            assert not await schema.has(store, layout(Count))
            assert (await checkpoints.progress(store), await parking.parked(store)) == ([], [])
            assert await checkpoints.caught_up(store) == {"other_v1"}
            assert await replacing.drop(other, _LIVE, [_LIVE])

        self.run(stores, scenario, 2)

    # Who has caught up, and what earlier tables hold.

    def test_who_has_caught_up_is_kept(self, stores: Any) -> None:
        """For all processes, and for good."""

        async def scenario(store: ViewStore, other: ViewStore) -> None:
            assert await checkpoints.caught_up(store) == set()
            await checkpoints.mark_caught_up(store, [_LIVE, "other_v1"])
            await checkpoints.mark_caught_up(other, [_LIVE])
            await checkpoints.mark_caught_up(store, [])
            assert await checkpoints.caught_up(other) == {_LIVE, "other_v1"}

        self.run(stores, scenario, 2)

    def test_a_table_has_a_layout_if_its_rows_can_be_read_as_that(self, stores: Any) -> None:
        """It may have more columns, in any order, but none of another type, and none with holes where none may be."""
        key = Annotated[str, Tag("sku")]

        class Fewer(View, key=key):
            pass

        class Swapped(View, key=key):
            word: str | None = None
            number: int = 0

        class Other(View, key=key):
            number: str = ""

        class Whole(View, key=key):
            word: str = ""

        class Count(View, key=key):
            number: Annotated[int, Index] = 0
            word: str | None = None
            real: float = 0.0

        async def scenario(store: ViewStore) -> None:
            assert not await schema.has(store, layout(Count))
            await schema.create(store, layout(Count))
            found = {
                view.__name__: await schema.has(store, msgspec.structs.replace(layout(view), table=_LIVE))
                for view in (Count, Fewer, Swapped, Other, Whole)
            }
            assert found == {"Count": True, "Fewer": True, "Swapped": True, "Other": False, "Whole": False}

        self.run(stores, scenario)


async def _claim(store: ViewStore, follower: str) -> Claim:
    (claim,) = await claiming.attend(store, f"follower of {follower}", [follower], LEASE_SECONDS)
    return claim


async def _claims(store: ViewStore, follower: str) -> list[Claim]:
    found = await claiming.attend(store, f"follower of {follower}", [follower], LEASE_SECONDS)
    return sorted(found, key=lambda claim: claim.segment.low)


async def _live(store: ViewStore, **rows: int) -> Claim:
    """Give a claim on a view with these rows, at the position 5."""
    await schema.create(store, layout(Count))
    claim = await _claim(store, _LIVE)
    await _put(store, claim, 5, **rows)
    return claim


async def _caught_up_shadow(store: ViewStore, other: ViewStore) -> tuple[Claim, Claim]:
    """Give the claims on a view and on its shadow, both at the position 5, with different rows."""
    live = await _live(store, lamp=5)
    await replacing.begin(other, _LIVE, _COUNT)
    shadow = await _claim(other, _SHADOW)
    await _put(other, shadow, 5, lamp=50)
    return live, shadow


async def _put(store: ViewStore, claim: Claim, position: int, **rows: int) -> None:
    shape = layout(Count) if claim.follower == _LIVE else shadow_layout(layout(Count))
    await store.commit(Checkpoint(claim, position), [_change(shape, **rows)])


def _change(shape: Any, **rows: Any) -> TableChange:
    packed = [(key, *(values if isinstance(values, tuple) else (values,))) for key, values in rows.items()]
    return TableChange(shape, packed, [])


async def _numbers(store: ViewStore) -> dict[str, int]:
    return {row.key: row.number for row in await store.select(select(table_of(Count)))}


async def _watch(store: ViewStore, ended: asyncio.Event) -> list[int]:
    """Return what is read of a row until the end, by its key and by a statement in turn."""
    seen = []
    while not ended.is_set():
        seen.append((await store.load(layout(Count), ["lamp"]))[0][1])
        seen.append((await _numbers(store))["lamp"])
    seen.append((await _numbers(store))["lamp"])
    return seen
