"""A view that is given what no database could keep: whatever that is, it is set aside with its key, and all else goes on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Annotated, Any, Self

from sqlalchemy import select

from tests.support.claims import claimed
from tests.support.waiting import until
from twofold import Event, Index, Tag, View, evolve, replace
from twofold.adapters.memory import MemoryStore
from twofold.clock import SystemClock
from twofold.followers import Follower, Segment, parking, storable_key
from twofold.log import Log, NewEvent
from twofold.messages import encode
from twofold.views import ViewHandler, ViewStore, layout, replacing, schema
from twofold.views.bounds import LONGEST_INDEXED_BYTES
from twofold.views.tables import table_of

CLOCK = SystemClock()
KeyId = Annotated[str, Tag("name")]
OwnerId = Annotated[str, Tag("owner")]
OWNER = "ann, or Ünï"
LONG = "".join(chr(97 + n * n % 26) for n in range(12_000))

VALUES: dict[str, Callable[[], dict[str, Any]]] = {
    "int": lambda: {"number": 2**63},
    "low": lambda: {"number": -(2**63) - 1},
    "huge": lambda: {"number": 10**400},
    "fraction": lambda: {"number": 1.5},
    "none": lambda: {"number": None},
    "nan": lambda: {"real": math.nan},
    "maybe nan": lambda: {"maybe_real": math.nan},
    "great real": lambda: {"real": 10**400},
    "nul": lambda: {"text": "a\0b"},
    "surrogate": lambda: {"text": "\ud800"},
    "maybe nul": lambda: {"maybe": "\0"},
    "bytes": lambda: {"text": b"x"},
    "index": lambda: {"indexed": LONG},
    "wide index": lambda: {"indexed": "🙂" * 700},
    "json": lambda: {"words": ("\ud800",)},
    "no flag": lambda: {"flag": 2},
}
FINE: dict[str, Callable[[], dict[str, Any]]] = {
    "most": lambda: {"number": 2**63 - 1, "real": math.inf, "maybe_real": -0.0},
    "least": lambda: {"number": -(2**63), "real": 7},
    "long": lambda: {"text": LONG, "indexed": "x" * LONGEST_INDEXED_BYTES},
    "wide": lambda: {"indexed": "🙂" * (LONGEST_INDEXED_BYTES // 4), "text": "\n\t\x01 ünï"},
    "escaped": lambda: {"words": ("\0", LONG), "maybe": None, "text": "\\x00"},
}
ERRORS = ["", "NUL \0", "half \ud800", "🙂" * 5_000, LONG, "\\x00"]
KEYS = ["nul \0", LONG, "🙂" * 700, "x" * 3_000 + "a", "x" * 3_000 + "b"]


class Given(Event):
    keys: tuple[KeyId, ...]
    what: str = ""
    error: int = -1
    owner: OwnerId = OWNER


class Hostile(View):
    count: int = 0
    number: int = 0
    real: float = 0.0
    maybe_real: float | None = None
    text: str = ""
    maybe: str | None = None
    indexed: Annotated[str, Index] = ""
    words: tuple[str, ...] = ()
    flag: bool = False

    @evolve
    def given(self, event: Given) -> Self:
        is_bad = name_of(self.key).startswith("bad")
        if event.error >= 0 and is_bad:
            raise ValueError(ERRORS[event.error])
        made = {**VALUES, **FINE}.get(event.what, dict)() if is_bad or event.what in FINE else {}
        return replace(self, count=self.count + 1, **made)


class Kept(Hostile, key=KeyId):
    """Found by the hostile identity alone."""


class Owned(Hostile, key=(OwnerId, KeyId)):
    """Found by two, of which one is hostile."""


def name_of(key: Any) -> str:
    """Return the part of a key that may be hostile."""
    name: str = key[1] if isinstance(key, tuple) else key
    return name


def hostile_events() -> list[Given]:
    """Return events of which some make what cannot be kept, for the one of their two keys that is to blame."""
    events = [Given(keys=(f"good {n % 5}",)) for n in range(20)]
    events += [Given(keys=(f"good {n % 5}", f"bad {what}"), what=what) for n, what in enumerate(VALUES)]
    events += [Given(keys=(f"fine {what}",), what=what) for what in FINE]
    events += [Given(keys=(f"bad error {n}", f"good {n % 5}"), error=n) for n in range(len(ERRORS))]
    events += [Given(keys=(key, f"good {n % 5}")) for n, key in enumerate(KEYS)]
    events += [Given(keys=(f"bad {what}", "good 0")) for what in VALUES]
    return events + [Given(keys=(key,)) for key in KEYS] + [Given(keys=("good \\x00",))]


def hostile_keys(view: Any) -> set[str]:
    """Return the keys of a view that are to be parked."""
    named = [f"bad {what}" for what in VALUES] + [f"bad error {n}" for n in range(len(ERRORS))] + KEYS
    before = "" if view is Kept else "owner:ann,, or Ünï,"
    return {storable_key(f"{before}name:{key}") for key in named}


async def logged(events: list[Given]) -> Log:
    log = await Log.open(MemoryStore(), CLOCK)
    # A log may hold what no identity of today is: from before, or from elsewhere.
    await log.append([NewEvent(f"id-{n}", "Given", 1, (), encode(event)) for n, event in enumerate(events)])
    return log


async def filled(store: ViewStore, log: Log, view: Any, *, as_shadow: bool = False) -> Follower:
    """Follow until the log's end, and return what followed; the waiting for what may pass takes no time."""

    class Hasty(SystemClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0.002)

    handler = ViewHandler(view, log, store, Hasty(), as_shadow=as_shadow)
    following = Follower(store, handler, Hasty())
    claim = await claimed(store, handler.name)
    task = asyncio.create_task(following.follow(claim))
    end = await log.head()

    async def is_there() -> bool:
        if task.done():
            task.result()
        return following.position == end

    await until(is_there)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return following


async def check_hostile(store: ViewStore, view: Any = Kept) -> None:
    """Check that exactly the hostile keys are parked, at the event to blame, and that all others have their rows."""
    events, shape, hostile = hostile_events(), layout(view), hostile_keys(view)
    log = await logged(events)
    await schema.create(store, shape)
    following = await filled(store, log, view)
    assert following.failing == ""
    await _check_rows(store, view, events)
    parked = await parking.parked(store)
    assert {each.key for each in parked} == hostile
    for key in hostile:
        first, *rest = await parking.parked(store, shape.table, key)
        assert first.error
        assert len(first.error) < 5_000
        assert all(not each.error for each in rest)
        assert first.attempts == 1 or "error" in key
    await _retry_and_discard(store, log, view)
    await replacing.begin(store, shape.table, [shape])
    await filled(store, log, view, as_shadow=True)
    await _taken_over(store, view)
    await _check_rows(store, view, events)
    assert {each.key for each in await parking.parked(store)} == hostile
    await log.close()


async def _check_rows(store: ViewStore, view: Any, events: list[Given]) -> None:
    found = [layout(view).row(**row._mapping) for row in await store.select(select(table_of(view)))]
    rows = {name_of(row.key): row for row in found}
    good = [key for event in events for key in event.keys if key.startswith(("good", "fine"))]
    assert {name: row.count for name, row in rows.items()} == {key: good.count(key) for key in good}
    for what, made in FINE.items():
        row = rows[f"fine {what}"]
        assert {name: getattr(row, name) for name in made()} == made()


async def _retry_and_discard(store: ViewStore, log: Log, view: Any) -> None:
    """Each parked key is found again by what is shown of it."""
    keys, follower = sorted(hostile_keys(view)), layout(view).table
    before = {each.key: each.attempts for each in await parking.parked(store) if each.error}
    assert await parking.request_retry(store, follower, keys) > len(keys) - 1
    handler = ViewHandler(view, log, store, CLOCK)
    claim = await claimed(store, follower)
    await handler.start(claim)
    assert await parking.due_retries(store, claim, 5) == keys
    for key in keys:
        assert not await handler.retry([key])
    after = {each.key: each.attempts for each in await parking.parked(store) if each.error}
    assert after == {key: attempts + 1 for key, attempts in before.items()}
    assert all(Segment().owns(key) and Segment(0, 1 << 31).owns(key) in (True, False) for key in keys)
    assert await parking.discard(store, follower, keys[0]) > 0
    assert {each.key for each in await parking.parked(store)} == {*keys[1:]}


async def _taken_over(store: ViewStore, view: Any) -> None:
    async def is_done() -> bool:
        return await replacing.take_over(store, layout(view).table, [layout(view)])

    await until(is_done)
