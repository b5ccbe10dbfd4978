"""Answers that are cached: what is given again is what would be found now, whoever has changed the views, and how."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.cached_answers import REWOUND, TABLES, Elsewhere, Operation, always_the_same
from tests.support.tally_service import Add, TotalOf, Totals, tally
from twofold import Query, Service, Views, answer
from twofold.adapters.memory.log import MemoryStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.declaration import layouts
from twofold.errors import FutureReceipt, InvalidMessage, ReceiptTimeout
from twofold.followers import PositionWaiter, checkpoints, claiming
from twofold.followers.session import Unit
from twofold.limits import Limits, LogLimits, QueryLimits
from twofold.log import Log
from twofold.messages import Receipt
from twofold.queries import AT_ONCE, AnswerCache, Answers, EncodedAnswer, Freshness, Result, ViewVersions
from twofold.service import Settings
from twofold.service.opening import opened
from twofold.telemetry import Telemetry
from twofold.testing import running

OPERATIONS = st.tuples(
    st.sampled_from(["write", "write", "write", "move", "park", "retry", "split", "merge", "rewind", "take over"]),
    st.sampled_from(list(TABLES)),
    st.sampled_from("ab"),
    st.integers(0, 3),
    st.booleans(),
)


# Every answer is cached, however little it takes to find it.
ALWAYS_CACHED = Limits(queries=QueryLimits(worthwhile_ratio=0))


@settings(max_examples=12)
@example(REWOUND)
@given(st.lists(OPERATIONS, min_size=5, max_size=25))
def test_a_cached_answer_is_the_one_that_would_be_found(operations: list[Operation]) -> None:
    """Whatever another process does on the same file: write, park, retry, divide, rewind, come and go."""

    async def scenario(folder: Path) -> None:
        urls = Settings(log=f"sqlite:///{folder}/tally.db", views=f"sqlite:///{folder}/views.db", limits=ALWAYS_CACHED)
        async with AsyncExitStack() as stack:
            asked = await stack.enter_async_context(opened(tally.declaration, urls))
            store = SqliteViews(f"{folder}/views.db", SystemClock())
            stack.push_async_callback(store.close)
            await always_the_same(asked, Elsewhere(store), operations)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


def test_a_cached_answer_is_not_given_to_who_has_seen_more(tmp_path: Path) -> None:
    """A receipt is waited for as ever, and what it stands for is in the answer, a hundred times in a row."""

    async def scenario() -> None:
        urls = Settings(
            log=f"sqlite:///{tmp_path}/tally.db", views=f"sqlite:///{tmp_path}/tally-views.db", limits=ALWAYS_CACHED
        )
        async with opened(tally.declaration, urls) as asked:
            assert (await asked.answered(Totals())).data == b"[]"
            receipt = await asked.send(Add())
            assert (await asked.answered(Totals())).data == b"[]"
            with pytest.raises(ReceiptTimeout):
                await asked.answered(Totals(), after=receipt, timeout_seconds=0)
            with pytest.raises(FutureReceipt):
                await asked.answered(Totals(), after=Receipt("tally", 99))
            async with running(tally, tmp_path) as following:
                for number in range(2, 102):
                    receipt = await following.send(Add())
                    answered = await asked.answered(Totals(), after=receipt)
                    assert msgspec.json.decode(answered.data)[0]["total"] == number
                    assert await asked.answered(Totals(), after=receipt) == answered

    asyncio.run(scenario())


class ManualClock(SystemClock):
    """A clock whose time passes when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class SlowViews(SqliteViews):
    """Views of which it takes a second to say where the followers stand; how often that was asked is counted."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(":memory:", clock)
        self._manual = clock
        self.looks = 0

    async def read(self, unit: Unit[Any]) -> Any:
        self.looks += 1
        self._manual.seconds += 1
        return await super().read(unit)


class SlowAnswers(Answers):
    """Answers that all are the same, and that take some time to find; how often one was found is counted."""

    def __init__(self, clock: ManualClock, seconds: float, value: Any) -> None:
        self.telemetry = Telemetry(clock)
        self._clock = clock
        self._seconds = seconds
        self._value = value
        self.found = 0

    async def find(self, query: Query[Any], freshness: Freshness) -> Result:
        self.found += 1
        self._clock.seconds += self._seconds
        return Result(self._value, {"total_v1": "total_v1"})


class Asked:
    """Cached answers over a follower that stands still, with a count of how often one was found."""

    def __init__(self, seconds: float, data: Any = 0, limits: Limits = Limits()) -> None:
        clock = ManualClock()
        self.views = SlowViews(clock)
        log = Log(MemoryStore(), clock, 0, LogLimits(), Telemetry(clock))
        positions = PositionWaiter(partial(checkpoints.position, self.views))
        versions = ViewVersions(layouts(tally.declaration), log, self.views, positions, clock)
        self._answers = SlowAnswers(clock, seconds, data)
        self.cache = AnswerCache(self._answers, self.views, versions, clock, limits.queries)

    @property
    def found(self) -> int:
        return self._answers.found

    async def __aenter__(self) -> "Asked":
        await self.views.open()
        await claiming.attend(self.views, "ann", ["total_v1"], 60)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.views.close()

    async def ask(self, query: Query[Any]) -> EncodedAnswer:
        return await self.cache.answer(query, AT_ONCE)


class Dearer(Query[list[str]]):
    than: float | None


@answer
async def dearer(query: Dearer, views: Views) -> list[str]:
    return [str(query.than)]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_query_that_json_would_confuse_with_another_is_refused(number: str) -> None:
    """JSON has one null for these and for None, so the answer to one would be cached for, and told to, who asks another."""

    async def scenario() -> None:
        async with Asked(60, limits=ALWAYS_CACHED) as asked:
            await asked.ask(Dearer(than=None))
            with pytest.raises(InvalidMessage, match="than would be received as something else"):
                await asked.ask(Dearer(than=float(number)))
        async with running(Service("dear", queries=[dearer])) as service:
            with pytest.raises(InvalidMessage, match="than would be received as something else"):
                await anext(service.watch(Dearer(than=float(number))))

    asyncio.run(scenario())


def test_what_is_found_quickly_is_found_again() -> None:
    """To look whether it still holds would take as long, so there is a look now and then only."""

    async def scenario() -> None:
        async with Asked(seconds=5) as asked:
            for _ in range(1000):
                await asked.ask(TotalOf())
            assert (asked.found, asked.views.looks) == (999, 2)

    asyncio.run(scenario())


def test_what_takes_long_to_find_is_found_once() -> None:
    """Each question for itself, and every time it is asked there is one look whether it still holds."""

    async def scenario() -> None:
        async with Asked(seconds=50) as asked:
            for _ in range(50):
                await asked.ask(TotalOf())
                await asked.ask(TotalOf(counter="b"))
            assert (asked.found, asked.views.looks) == (2, 100)

    asyncio.run(scenario())


def test_what_is_cached_is_bounded() -> None:
    """In number and in size: the one that was not asked for longest goes, and a very large one is not cached at all."""
    most = QueryLimits()

    async def scenario() -> None:
        async with Asked(seconds=50) as asked:
            for number in range(most.cached_answers + 1):
                await asked.ask(TotalOf(counter=str(number)))
                await asked.ask(TotalOf(counter="0"))
            assert asked.found == most.cached_answers + 1
            await asked.ask(TotalOf(counter="1"))
            assert asked.found == most.cached_answers + 2
        size = most.cached_bytes // 20
        async with Asked(seconds=50, data="x" * size) as asked:
            for _ in range(2):
                for number in range(21):
                    await asked.ask(TotalOf(counter=str(number)))
            assert asked.found == 42
            assert asked.cache._bytes <= most.cached_bytes
        async with Asked(seconds=50, data="x" * (most.cached_bytes // 10)) as asked:
            for _ in range(2):
                await asked.ask(TotalOf())
            assert (asked.found, asked.cache._bytes) == (2, 0)

    asyncio.run(scenario())
