"""What a followers' store must hold to about claims, shares and segments, as tests; a part of `ViewConformance`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from twofold.errors import LeaseLost, NotFound, NotNow
from twofold.followers import WHOLE, Checkpoint, Claim, Parked, Progress, Segment, checkpoints, claiming
from twofold.followers.claiming import NEVER
from twofold.followers.session import Execute, ExecuteMany, Now, Steps
from twofold.views import ViewStore, replacing

T = TypeVar("T")

LEASE_SECONDS = 600.0
ENDED = 0.0


class ClaimConformance:
    """Who follows what: one owner for each segment at a time, fairly shared, and nothing stored by anybody else."""

    @pytest.fixture
    def stores(self) -> Callable[[], ViewStore]:
        """Give a function that returns a new store on the same database."""
        raise NotImplementedError("Override the fixture `stores`.")

    def run(self, stores: Callable[[], ViewStore], scenario: Callable[..., Awaitable[T]], instances: int = 1) -> T:
        """Run a scenario with so many stores on the same database, and close them."""

        async def whole() -> T:
            opened = [stores() for _ in range(instances)]
            try:
                for store in opened:
                    await store.open()
                return await scenario(*opened)
            finally:
                for store in opened:
                    await store.close()

        return asyncio.run(whole())

    # Units of work.

    def test_a_unit_that_fails_leaves_everything_as_it_was(self, stores: Any) -> None:
        """What it raises reaches whoever asked for it, and nothing that it did before is kept."""

        def failing() -> Steps[None]:
            assert (yield Execute("leave_all", (NEVER, "ann"))) == 1
            raise NotNow("It turned out otherwise.")

        async def scenario(store: ViewStore) -> None:
            await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            with pytest.raises(NotNow, match="It turned out otherwise"):
                await store.run(failing)
            assert [each.owner for each in await checkpoints.progress(store)] == ["ann"]

        self.run(stores, scenario)

    def test_a_statement_says_how_many_rows_it_has_changed(self, stores: Any) -> None:
        """By that a lost lease is found out. For many rows of values it is run once for each, in their order."""

        def counting() -> Steps[list[int]]:
            yield ExecuteMany(
                "add_follower", [("orders", WHOLE, 0, 0), ("prices", WHOLE, 0, 0), ("orders", WHOLE, 0, 0)]
            )
            all_of_nobody = yield Execute("leave_all", (NEVER, ""))
            return [all_of_nobody, (yield Execute("leave_all", (NEVER, "ann")))]

        async def scenario(store: ViewStore) -> None:
            assert await store.run(counting) == [2, 0]
            assert [each.follower for each in await checkpoints.progress(store)] == ["orders", "prices"]

        self.run(stores, scenario)

    def test_all_stores_have_one_clock_and_it_goes_on(self, stores: Any) -> None:
        """A lease means the same to all who see it."""

        def looking() -> Steps[datetime]:
            now: datetime = yield Now()
            return now

        async def scenario(one: ViewStore, other: ViewStore) -> None:
            first = await one.run(looking)
            second = await other.read(looking)
            assert first.utcoffset() == timedelta()
            assert first <= second <= await one.read(looking)

        self.run(stores, scenario, 2)

    # Claims.

    def test_a_segment_is_one_owner_s_at_a_time(self, stores: Any) -> None:
        """Until it leaves; then the next one starts where that one ended, with a higher fence."""

        async def scenario(one: ViewStore, other: ViewStore) -> None:
            (first,) = await claiming.attend(one, "ann", ["orders"], LEASE_SECONDS)
            assert first == Claim("orders", Segment(), 0, first.fence)
            assert await claiming.attend(other, "bob", ["orders"], LEASE_SECONDS) == []
            assert await claiming.attend(one, "ann", ["orders"], LEASE_SECONDS) == [first]
            await one.commit(Checkpoint(first, 7))
            await claiming.leave(one, "ann")
            (second,) = await claiming.attend(other, "bob", ["orders"], LEASE_SECONDS)
            assert (second.position, second.fence > first.fence) == (7, True)
            with loses():
                await one.commit(Checkpoint(first, 8))

        self.run(stores, scenario, 2)

    def test_of_many_that_claim_at_once_one_gets_it(self, stores: Any) -> None:
        """Twice the same work at the same time would be twice the load and no gain."""

        async def scenario(*opened: ViewStore) -> None:
            for round_ in range(10):
                owners = [(store, f"{store_}-{n}") for store_, store in enumerate(opened) for n in range(4)]
                attending = [claiming.attend(store, owner, [f"f{round_}"], LEASE_SECONDS) for store, owner in owners]
                claims = [claim for each in await asyncio.gather(*attending) for claim in each]
                assert len([claim for claim in claims if claim.follower == f"f{round_}"]) == 1

        self.run(stores, scenario, 3)

    def test_a_claim_from_before_a_follower_was_dropped_is_none_on_the_one_that_has_begun_anew(
        self, stores: Any
    ) -> None:
        """Who stood still while it was dropped would take the new one to where it was, past what that has to do still."""

        async def scenario(store: ViewStore, other: ViewStore) -> None:
            (before,) = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            assert await replacing.drop(other, "orders", [], even_if_declared=True)
            (anew,) = await claiming.attend(other, "bob", ["orders"], LEASE_SECONDS)
            with pytest.raises(LeaseLost):
                await store.commit(Checkpoint(before, 7))
            assert await checkpoints.position(store, "orders") == 0
            await other.commit(Checkpoint(anew, 1))

        self.run(stores, scenario, 2)

    def test_a_lease_that_has_run_out_is_taken_over(self, stores: Any) -> None:
        """The former owner finds out when it asks, and cannot give away what is no longer its own."""

        async def scenario(slow: ViewStore, quick: ViewStore) -> None:
            (old,) = await claiming.attend(slow, "ann", ["orders"], ENDED)
            (new,) = await claiming.attend(quick, "bob", ["orders"], LEASE_SECONDS)
            assert new.fence > old.fence
            await claiming.release(slow, old)
            assert await claiming.attend(slow, "ann", ["orders"], LEASE_SECONDS) == []
            assert await claiming.attend(quick, "bob", ["orders"], LEASE_SECONDS) == [new]

        self.run(stores, scenario, 2)

    def test_a_renewed_lease_lasts(self, stores: Any) -> None:
        """From the last time on that its owner was there, whatever it was before; and it can be made to end."""

        async def scenario(store: ViewStore) -> None:
            (claim,) = await claiming.attend(store, "ann", ["orders"], ENDED)
            assert await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS) == [claim]
            assert await claiming.attend(store, "bob", ["orders"], LEASE_SECONDS) == []
            assert await claiming.attend(store, "ann", ["orders"], ENDED) == [claim]
            assert len(await claiming.attend(store, "bob", ["orders"], LEASE_SECONDS)) == 1

        self.run(stores, scenario)

    def test_who_gives_one_claim_back_may_get_it_again(self, stores: Any) -> None:
        """With a higher fence, from where it was: what it did by the first one cannot be stored any more."""

        async def scenario(store: ViewStore) -> None:
            (first,) = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await store.commit(Checkpoint(first, 3))
            await claiming.release(store, first)
            assert [each.owner for each in await checkpoints.progress(store)] == [""]
            (again,) = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            assert (again.position, again.fence > first.fence) == (3, True)
            with loses():
                await store.commit(Checkpoint(first, 4))

        self.run(stores, scenario)

    def test_a_lease_that_no_right_clock_can_have_given_is_not_believed(self, stores: Any) -> None:
        """A process whose clock was hours ahead is gone: what it had is followed again, and it is not there for anybody."""

        async def scenario(store: ViewStore) -> None:
            (claim,) = await claiming.attend(store, "ahead", ["orders"], 100 * LEASE_SECONDS)
            await claiming.attend(store, "ahead too", ["gone"], 100 * LEASE_SECONDS)
            (taken,) = await claiming.attend(store, "right", ["orders"], LEASE_SECONDS)
            assert taken.fence > claim.fence
            with loses():
                await store.commit(Checkpoint(claim, 1))
            assert await claiming.declared(store) == {"orders"}
            assert {each.owner for each in await checkpoints.progress(store)} == {"right", ""}
            assert await claiming.attend(store, "ahead", ["orders"], LEASE_SECONDS) == []

        self.run(stores, scenario)

    def test_progress_says_how_far_everybody_is_and_whose_it_is(self, stores: Any) -> None:
        """An operator sees position, owner and what is parked; nobody owns what has no lease."""

        async def scenario(store: ViewStore) -> None:
            assert (await checkpoints.progress(store), await checkpoints.position(store, "orders")) == ([], 0)
            (claim,) = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await store.commit(Checkpoint(claim, 7, (Parked("orders", "sku:lamp", 6, "broken", 4, 5),)))
            await claiming.attend(store, "bob", ["others"], ENDED)
            owned, free = await checkpoints.progress(store)
            assert owned == Progress("orders", Segment(), 7, "ann", 1, claim.fence)
            assert free == Progress("others", Segment(), 0, "", 0, free.fence)
            assert await checkpoints.position(store, "orders") == 7

        self.run(stores, scenario)

    # Shares.

    def test_who_comes_later_is_left_a_fair_share(self, stores: Any) -> None:
        """The one that had all keeps half of it, loses the claims on the rest, and it does not go to and fro after that."""
        names = [f"f{n}" for n in range(6)]

        async def scenario(early: ViewStore, late: ViewStore) -> None:
            assert len(await claiming.attend(early, "early", names, LEASE_SECONDS)) == 6
            assert await claiming.attend(late, "late", names, LEASE_SECONDS) == []
            kept = await claiming.attend(early, "early", names, LEASE_SECONDS)
            given = await claiming.attend(late, "late", names, LEASE_SECONDS)
            assert (len(kept), len(given)) == (3, 3)
            assert {claim.follower for claim in kept + given} == set(names)
            for _ in range(3):
                assert _same(await claiming.attend(early, "early", names, LEASE_SECONDS), kept)
                assert _same(await claiming.attend(late, "late", names, LEASE_SECONDS), given)
            for claim in kept + given:
                await early.commit(Checkpoint(claim, 5))

        self.run(stores, scenario, 2)

    def test_what_somebody_leaves_the_others_take(self, stores: Any) -> None:
        """Whether it says goodbye or is not heard of any more, all of it has an owner again."""
        names = [f"f{n}" for n in range(4)]

        async def scenario(store: ViewStore) -> None:
            for goes in (claiming.leave, lambda store, owner: claiming.attend(store, owner, names, ENDED)):
                await _until_stable(store, ["ann", "bob"], names)
                await goes(store, "bob")
                assert {claim.follower for claim in await claiming.attend(store, "ann", names, LEASE_SECONDS)} == set(
                    names
                )
                await claiming.leave(store, "ann")

        self.run(stores, scenario)

    def test_who_is_ready_for_one_follower_alone_gets_no_other(self, stores: Any) -> None:
        """And that one, if those who are ready for more have more to do."""

        async def scenario(store: ViewStore) -> None:
            await claiming.attend(store, "all", ["a", "b", "c"], LEASE_SECONDS)
            assert await claiming.attend(store, "one", ["c"], LEASE_SECONDS) == []
            kept = await claiming.attend(store, "all", ["a", "b", "c"], LEASE_SECONDS)
            (claim,) = await claiming.attend(store, "one", ["c"], LEASE_SECONDS)
            assert ({each.follower for each in kept}, claim.follower) == ({"a", "b"}, "c")

        self.run(stores, scenario)

    # Segments.

    def test_a_split_follower_is_divided_among_those_who_are_there(self, stores: Any) -> None:
        """Each part goes on where the whole was, and who had the whole can store nothing more."""

        async def scenario(one: ViewStore, other: ViewStore) -> None:
            (whole,) = await claiming.attend(one, "ann", ["orders"], LEASE_SECONDS)
            await one.commit(Checkpoint(whole, 7))
            await claiming.split(one, "orders", 4)
            with loses():
                await one.commit(Checkpoint(whole, 8))
            claims = await _until_stable(one, ["ann", "bob"], ["orders"])
            segments = sorted([claim.segment for each in claims.values() for claim in each], key=lambda each: each.low)
            assert [len(each) for each in claims.values()] == [2, 2]
            assert segments == [Segment(WHOLE * n // 4, WHOLE * (n + 1) // 4) for n in range(4)]
            assert {claim.position for each in claims.values() for claim in each} == {7}
            await other.commit(Checkpoint(claims["bob"][0], 9))
            assert await checkpoints.position(one, "orders") == 7

        self.run(stores, scenario, 2)

    def test_segments_at_one_position_are_merged_at_once(self, stores: Any) -> None:
        """And there is one again, which somebody gets."""

        async def scenario(store: ViewStore) -> None:
            await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await claiming.split(store, "orders", 2)
            halves = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await claiming.merge(store, "orders")
            for half in halves:
                with loses():
                    await store.commit(Checkpoint(half, 3))
            (whole,) = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            assert (whole.segment, whole.position, whole.merge_at) == (Segment(), 0, 0)

        self.run(stores, scenario)

    def test_segments_wait_for_the_foremost_to_be_merged(self, stores: Any) -> None:
        """What one of them has done nobody does again: the others come up to it first, and it waits."""

        async def scenario(store: ViewStore) -> None:
            await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await claiming.split(store, "orders", 3)
            for position, claim in enumerate(await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS), 5):
                await store.commit(Checkpoint(claim, position))
            await claiming.merge(store, "orders")
            behind = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            assert sorted((claim.position, claim.merge_at) for claim in behind) == [(5, 7), (6, 7)]
            with pytest.raises(NotNow, match="about to be merged"):
                await claiming.split(store, "orders", 2)
            for claim in behind:
                await store.commit(Checkpoint(claim, 7))
            (whole,) = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            assert (whole.segment, whole.position, whole.merge_at) == (Segment(), 7, 0)
            await store.commit(Checkpoint(whole, 8))

        self.run(stores, scenario)

    def test_a_follower_that_is_sent_back_while_it_is_merged_begins_anew(self, stores: Any) -> None:
        """All its segments are at one position then, and nothing waits for ever."""

        async def scenario(store: ViewStore) -> None:
            await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await claiming.split(store, "orders", 2)
            first, _ = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await store.commit(Checkpoint(first, 5))
            await claiming.merge(store, "orders")
            await replacing.rewind(store, "orders", [])
            claims = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            assert {claim.position for claim in claims} == {0}
            assert sum(claim.segment.width for claim in claims) == WHOLE
            assert {claim.merge_at for claim in claims} == {0}

        self.run(stores, scenario)

    def test_what_cannot_be_divided_is_left_as_it_is(self, stores: Any) -> None:
        """A follower that is not there, or that has parked what names no key: it could belong to any of the parts."""

        async def scenario(store: ViewStore) -> None:
            for dividing in (claiming.split(store, "orders", 2), claiming.merge(store, "orders")):
                with pytest.raises(NotFound, match="orders has never been followed"):
                    await dividing
            (claim,) = await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS)
            await store.commit(Checkpoint(claim, 2, (Parked("orders", Segment().nameless, 2, "broken", 4, 5),)))
            for dividing in (claiming.split(store, "orders", 2), claiming.merge(store, "orders")):
                with pytest.raises(NotNow, match="twofold parked list"):
                    await dividing
            assert await claiming.attend(store, "ann", ["orders"], LEASE_SECONDS) == [_at(claim, 2)]

        self.run(stores, scenario)


def _at(claim: Claim, position: int) -> Claim:
    return Claim(claim.follower, claim.segment, position, claim.fence, claim.merge_at)


def _same(claims: Sequence[Claim], others: Sequence[Claim]) -> bool:
    return {(each.follower, each.fence) for each in claims} == {(each.follower, each.fence) for each in others}


async def _until_stable(store: ViewStore, owners: Sequence[str], followers: Sequence[str]) -> dict[str, list[Claim]]:
    """Have all owners attend until everything has one and no more changes hands."""
    before: dict[str, list[Claim]] = {}
    for _ in range(10):
        now = {owner: await claiming.attend(store, owner, followers, LEASE_SECONDS) for owner in owners}
        if now == before:
            return now
        before = now
    raise AssertionError("Claims go to and fro.")


@contextmanager
def loses() -> Iterator[None]:
    """Expect that a claim is lost."""
    with pytest.raises(LeaseLost):
        yield
