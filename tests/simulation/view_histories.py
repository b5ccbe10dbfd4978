"""Random histories of what is done with a views' database, and what it answers: whichever it is, that is the same."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from twofold.clock import SystemClock
from twofold.errors import TwofoldError, ValueRefused
from twofold.followers import Checkpoint, Claim, Parked, checkpoints, claiming, parking
from twofold.followers.shadow import shadow_follower
from twofold.simulation.chance import Chance
from twofold.simulation.disks import ViewDisk
from twofold.simulation.faults import Faults, Mishaps
from twofold.simulation.view_store import SimulatedViewStore
from twofold.simulation.wire import Wire
from twofold.testing.samples import EVERYTHING, Count, Everything
from twofold.testing.view_keys import Star
from twofold.views import TableChange, View, ViewStore, Write, layout, replacing, schema
from twofold.views.bounds import Packer
from twofold.views.shadow import shadow_layout
from twofold.views.tables import table_of

Stores: TypeAlias = Callable[[], ViewStore]
Step: TypeAlias = tuple[str, int, tuple[Any, ...]]
"""What is done, by which of the two who have the database open, and with what."""

VIEWS: dict[str, type[View]] = {layout(each).table: each for each in (Count, Star, Everything)}
_FENCE = re.compile(r"\b\d{16}\b")
_LEASE_SECONDS = 3600.0

followers = st.sampled_from([*VIEWS, *[shadow_follower(each) for each in VIEWS]])
tables = st.sampled_from([*VIEWS])
owners = st.sampled_from(["ann", "bob"])
keys = st.sampled_from(["sku:lamp", "sku:desk", "sku:Ä", "", "never parked"])
positions = st.integers(0, 6)
claims = st.integers(0, 3)
"""Which of the claims that were given: 0 is the last one."""

counts = st.builds(Count, key=st.sampled_from(["lamp", "desk", "Ä"]), number=st.integers(-3, 3) | st.just(2**63 - 1))
stars = st.builds(
    Star,
    key=st.tuples(st.sampled_from(["a", "b,c", "o'brien"]), st.integers(0, 2)),
    note=st.sampled_from(["", "x", "'"]),
)
things = st.sampled_from(EVERYTHING)
changes = st.tuples(st.lists(counts | stars | things, max_size=4), st.lists(counts | stars | things, max_size=2))
statements = st.sampled_from(["", "", "", "one more", "large go", "not a number"])


def _steps(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.integers(0, 1), st.tuples(*values))


_OFTEN = 4
KINDS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "attend": (
        owners,
        st.lists(followers, min_size=1, max_size=4, unique=True),
        st.sampled_from([_LEASE_SECONDS, 0.0]),
    ),
    "commit": (claims, positions, changes, statements, st.lists(keys, max_size=2, unique=True), st.booleans()),
    "leave": (owners,),
    "release": (claims,),
    "divide": (st.sampled_from(["split", "merge"]), followers),
    "request_retry": (followers, st.lists(keys, max_size=2)),
    "due_retries": (claims,),
    "discard": (followers, keys, positions),
    "parked": (st.just("") | followers, st.just("") | keys, st.sampled_from([1, 2, 1000])),
    "preview": (changes, statements),
    "load": (st.booleans(), st.lists(counts | stars | things, min_size=1, max_size=3)),
    "select": (tables, st.sampled_from(["all", "large", "how many"])),
    "rebuild": (tables,),
    "take_over": (tables, st.sampled_from([0.0, _LEASE_SECONDS])),
    "drop": (tables, st.booleans(), st.booleans()),
    "rewind": (tables,),
    "mark_caught_up": (st.lists(followers, max_size=2),),
    "where_all_are": (),
}
histories: st.SearchStrategy[list[Step]] = st.lists(
    st.sampled_from([*KINDS, *["attend", "commit", "commit", "commit"] * _OFTEN]).flatmap(
        lambda name: _steps(name, *KINDS[name])
    ),
    min_size=20,
    max_size=50,
)


async def answers(stores: Stores, history: Sequence[Step]) -> list[str]:
    """Return what two answer who have a database open, step by step, and what is in it then."""
    given: list[Claim] = []
    users = [User(stores(), given), User(stores(), given)]
    try:
        for user in users:
            await user.store.open()
        for view in VIEWS.values():
            await schema.create(users[0].store, layout(view))
        await users[0].attend("ann", [*VIEWS], _LEASE_SECONDS)
        found = [await users[who].answer(name, *values) for name, who, values in history]
        rows = [await users[1].answer("select", table, "all") for table in VIEWS]
        return _numbered([*found, *rows, await users[1].answer("parked", "", "", 1000)])
    finally:
        for user in users:
            await user.store.close()


def _numbered(found: Sequence[str]) -> list[str]:
    """Return answers in which fences are small numbers: they begin at the time, and only their order means something."""
    fences = sorted({int(each) for text in found for each in _FENCE.findall(text)})
    numbers = {str(fence): f"fence {number}" for number, fence in enumerate(fences)}
    return [_FENCE.sub(lambda fence: numbers[fence[0]], text) for text in found]


class User:
    """Does steps with a store. Errors are answers as well; ``given`` are all claims that anybody was given."""

    def __init__(self, store: ViewStore, given: list[Claim]) -> None:
        self.store = store
        self._given = given

    async def answer(self, name: str, *values: Any) -> str:
        """Do a step, and return what is answered, as a text that tells 1 from 1.0 and from True."""
        does: Callable[..., Awaitable[object]] = getattr(self, name)
        try:
            return f"{name}: {await does(*values)!r}"
        except ValueRefused:
            # What it does not take, and why, is said in each database's words.
            return f"{name}: {ValueRefused.__name__}"
        except TwofoldError as error:
            return f"{name}: {error!r}"

    def _claim(self, number: int) -> Claim:
        return self._given[-1 - number % len(self._given)]

    # Who follows what.

    async def attend(self, owner: str, followers: Sequence[str], lease_seconds: float) -> object:
        found = await claiming.attend(self.store, owner, followers, lease_seconds)
        found.sort(key=lambda claim: (claim.follower, claim.segment.low))
        self._given += found
        return found

    async def leave(self, owner: str) -> None:
        await claiming.leave(self.store, owner)

    async def release(self, claim: int) -> None:
        await claiming.release(self.store, self._claim(claim))

    async def divide(self, how: str, follower: str) -> None:
        if how == "split":
            await claiming.split(self.store, follower, 2)
        else:
            await claiming.merge(self.store, follower)

    async def where_all_are(self) -> object:
        standings = sorted((await checkpoints.standings(self.store)).items())
        declared, whole = await claiming.declared(self.store), await checkpoints.caught_up(self.store)
        return await checkpoints.progress(self.store), standings, sorted(declared), sorted(whole)

    async def mark_caught_up(self, followers: Sequence[str]) -> None:
        await checkpoints.mark_caught_up(self.store, followers)

    # What they store.

    async def commit(
        self,
        claim: int,
        further: int,
        changed: tuple[Sequence[Any], Sequence[Any]],
        statement: str,
        keys: Sequence[str],
        parks: bool,
    ) -> object:
        """Store rows by a claim, run a statement perhaps, and park keys or unpark them."""
        mine = self._claim(claim)
        position = mine.position + further
        error = "" if further % 2 else "Broken: 'x'"
        parked = [Parked(mine.follower, key, position, error, 1, further) for key in keys if parks]
        there = [] if parks else await parking.parked(self.store, mine.follower)
        unparked = [(each.key, each.position) for each in there if each.key in keys]
        checkpoint = Checkpoint(mine, position, tuple(parked), tuple(unparked))
        await self.store.commit(checkpoint, _writes(*changed, statement))
        return position

    async def preview(self, changed: tuple[Sequence[Any], Sequence[Any]], statement: str) -> object:
        asked = [Count(key=key) for key in ("lamp", "desk")]
        stored = await self.store.preview(_writes(*changed, statement), layout(Count), [row.key for row in asked])
        return _rows(Count, stored)

    async def load(self, shadows: bool, rows: Sequence[Any]) -> object:
        view: type[View] = type(rows[0])
        shape = shadow_layout(layout(view)) if shadows else layout(view)
        if not await schema.has(self.store, shape):
            return "no table"
        wanted = [Packer(shape).key(row.key) for row in rows if type(row) is view]
        return _rows(view, await self.store.load(shape, list(dict.fromkeys(wanted))))

    async def select(self, table: str, what: str) -> object:
        shape, of = layout(VIEWS[table]), table_of(VIEWS[table])
        if not await schema.has(self.store, shape):
            return "no table"
        if what == "how many":
            return [tuple(row) for row in await self.store.select(select(func.count()).select_from(of))]
        statement = select(of).order_by(*[of.c[each.name] for each in shape.key_columns])
        if what == "large" and table == layout(Count).table:
            statement = statement.where(of.c.number > 0)
        return [shape.row(**row._mapping) for row in await self.store.select(statement)]

    # What was set aside.

    async def parked(self, follower: str, key: str, limit: int) -> object:
        return await parking.parked(self.store, follower, key, limit)

    async def request_retry(self, follower: str, keys: Sequence[str]) -> object:
        return await parking.request_retry(self.store, follower, keys)

    async def due_retries(self, claim: int) -> object:
        return await parking.due_retries(self.store, self._claim(claim), 1_000)

    async def discard(self, follower: str, key: str, position: int) -> object:
        return await parking.discard(self.store, follower, key, position)

    # Filling anew.

    async def rebuild(self, table: str) -> object:
        await schema.create(self.store, layout(VIEWS[table]))
        return bool(await replacing.begin(self.store, table, [layout(VIEWS[table])]))

    async def take_over(self, table: str, hold_seconds: float) -> object:
        return await replacing.take_over(self.store, table, [layout(VIEWS[table])], hold_seconds)

    async def drop(self, table: str, shadow: bool, even_if_declared: bool) -> object:
        """Drop a view or what it is rebuilt into; the view's table is made anew, as by a start."""
        follower, shape = (
            (shadow_follower(table), shadow_layout(layout(VIEWS[table])).table) if shadow else (table, table)
        )
        found = await replacing.drop(self.store, follower, [shape], even_if_declared=even_if_declared)
        await schema.create(self.store, layout(VIEWS[table]))
        return found

    async def rewind(self, table: str) -> None:
        await replacing.rewind(self.store, table, [table])


def _writes(puts: Sequence[Any], deletes: Sequence[Any], statement: str) -> list[Write]:
    """Return the writes of a batch: of each view its rows, each key once, and a statement in between."""
    found: list[Write] = []
    for view in VIEWS.values():
        shape = layout(view)
        packer = Packer(shape)
        put = {row.key: packer.row(row) for row in puts if type(row) is view}
        gone = {row.key: packer.key(row.key) for row in deletes if type(row) is view and row.key not in put}
        found.append(TableChange(shape, [*put.values()], [*gone.values()]))
    table = table_of(Count)
    made = {
        "one more": update(table).where(table.c.number < 2**62).values(number=table.c.number + 1),
        "large go": delete(table).where(table.c.number > 1),
        "not a number": update(table).values(number="many"),
    }
    return [*found[:1], made[statement], *found[1:]] if statement else found


def _rows(view: type[View], stored: Sequence[tuple[Any, ...]]) -> list[Any]:
    return sorted([layout(view).unpack(each) for each in stored], key=lambda row: repr(row.key))


def simulated() -> Stores:
    """Return what opens the views' database of a simulation in which nothing goes wrong."""
    disk, mishaps = ViewDisk(SystemClock()), Mishaps(Chance(1, "histories"), Faults())
    return lambda: SimulatedViewStore(disk, Wire(mishaps))
