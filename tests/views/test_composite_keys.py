"""Views whose rows several identities name together: which event reaches which row, what is parked, and what is asked."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from tests.support.claims import claimed
from twofold import Event, Query, Service, Tag, View, Views, answer, evolve, project, replace
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.errors import ValueRefused
from twofold.followers import claiming, parking
from twofold.log import Log, NewEvent
from twofold.messages import Receipt, encode, tagger
from twofold.service import Running, Settings
from twofold.testing import given as given_events
from twofold.testing import running
from twofold.views import Transaction, ViewHandler, layout, schema
from twofold.views.paging import cursor_of, page_statement

ArticleId = Annotated[str, Tag("article")]
UserId = Annotated[str, Tag("user")]
CLOCK = SystemClock()


class Starred(Event):
    article: ArticleId
    user: UserId
    stars: int = 1


class Shared(Event):
    source: ArticleId
    target: ArticleId
    users: tuple[UserId, ...] = ()
    editor: UserId | None = None


class Unstarred(Event):
    article: ArticleId
    user: UserId


class ArticleDeleted(Event):
    article: ArticleId


class Star(View, key=(ArticleId, UserId)):
    stars: int = 0
    shares: tuple[str, ...] = ()

    @evolve
    def starred(self, event: Starred) -> Self:
        if event.stars < 0:
            raise ValueError("no star is negative")
        return replace(self, stars=self.stars + event.stars)

    @evolve
    def shared(self, event: Shared) -> Self:
        article, _ = self.key
        return replace(self, shares=(*self.shares, "to" if article == event.target else "from"))

    @evolve
    def unstarred(self, event: Unstarred) -> Self | None:
        return None


class Kept(View, key=(ArticleId, UserId)):
    stars: int = 0


@project(Kept)
async def kept(event: Starred | Unstarred | ArticleDeleted, rows: Transaction) -> None:
    if isinstance(event, ArticleDeleted):
        rows.delete_where(Kept, Kept.c.article == event.article)
    elif isinstance(event, Unstarred):
        rows.delete(Kept, (event.article, event.user))
    else:
        row = await rows.get(Kept, (event.article, event.user))
        rows.put(replace(row, stars=row.stars + event.stars))


class StarsOf(Query[list[Star]]):
    user: str


class KeptOf(Query[list[Kept]]):
    article: str


@answer
async def stars_of(query: StarsOf, views: Views) -> list[Star]:
    return (await views.find(Star, Star.c.user == query.user, order_by=Star.c.stars.desc())).rows


@answer
async def kept_of(query: KeptOf, views: Views) -> list[Kept]:
    assert await views.get(Kept, (query.article, "nobody")) is None
    return (await views.find(Kept, Kept.c.article == query.article)).rows


SERVICE = Service("reader", views=[Star], projections=[kept], queries=[stars_of, kept_of])


def new(event: Event) -> NewEvent:
    kind = type(event)
    return NewEvent(CLOCK.new_id(), kind.message_name, 1, tagger(kind)(event), encode(event))


def by_hand(events: Sequence[Event]) -> list[Any]:
    """Fold the events into rows, each by what it says and not by how its fields are marked."""
    rows: dict[tuple[str, str], Any] = {}
    for event in events:
        match event:
            case Starred():
                row = rows.get(key := (event.article, event.user), Star(key=key))
                rows[key] = replace(row, stars=row.stars + event.stars)
            case Unstarred():
                rows.pop((event.article, event.user), None)
            case Shared():
                users = dict.fromkeys([*event.users, *([event.editor] if event.editor is not None else [])])
                for key in dict.fromkeys([(a, user) for a in (event.source, event.target) for user in users]):
                    row = rows.get(key, Star(key=key))
                    way = "to" if key[0] == event.target else "from"
                    rows[key] = replace(row, shares=(*row.shares, way))
    return [rows[key] for key in sorted(rows)]


articles, users = st.sampled_from(["a", "a,", ""]), st.sampled_from(["u", ",u", "a"])
happenings = st.one_of(
    st.builds(Starred, article=articles, user=users, stars=st.integers(0, 5)),
    st.builds(Unstarred, article=articles, user=users),
    st.builds(
        Shared,
        source=articles,
        target=articles,
        users=st.lists(users, max_size=3).map(tuple),
        editor=st.none() | users,
    ),
)


@given(st.lists(happenings, max_size=30), st.lists(st.integers(0, 7), max_size=12), st.integers(1, 4))
def test_rows_are_what_folding_by_hand_makes(events: list[Event], sizes: list[int], parts: int) -> None:
    """Whatever the batches are, and into however many segments the keys are divided: each key is in exactly one."""

    async def scenario() -> None:
        log = await Log.open(MemoryStore(), CLOCK)
        await log.append([new(event) for event in events])
        store = SqliteViews(":memory:", CLOCK)
        await store.open()
        await schema.create(store, layout(Star))
        await claimed(store, "star_v1", "test", 0)
        await claiming.split(store, "star_v1", parts)
        for claim in await claiming.attend(store, "test", ["star_v1"], 600):
            handler = ViewHandler(Star, log, store, CLOCK)
            await handler.start(claim)
            position = 0
            for size in [*sizes, len(events)]:
                batch = await log.read(handler.criteria, position, size) if size else []
                position = batch[-1].position if batch else position
                await handler.apply(batch, position, {})
        assert (await Views(store).find(Star)).rows == by_hand(events)
        await store.close()
        await log.close()

    asyncio.run(scenario())


async def rows_of(running: Running, view: Any) -> dict[Any, int]:
    return {row.key: row.stars for row in await Views(running.views).find(view)}


def test_rows_are_filled_and_asked_by_each_part() -> None:
    """By their steps; and by a projection, where an event is about all rows of a part."""
    events = [
        Starred(article="one", user="ann", stars=3),
        Starred(article="one", user="bob"),
        Starred(article="two", user="ann", stars=5),
        Unstarred(article="one", user="bob"),
        ArticleDeleted(article="two"),
    ]

    async def scenario() -> None:
        async with running(SERVICE) as service:
            await service.log.append([new(event) for event in events])
            after = Receipt("reader", len(events))
            found = await service.ask(StarsOf(user="ann"), after=after)
            assert [(star.article, star.stars) for star in found] == [("two", 5), ("one", 3)]  # type: ignore[attr-defined]
            assert await service.ask(KeptOf(article="one"), after=after) == [Kept(key=("one", "ann"), stars=3)]
            assert await service.ask(KeptOf(article="two"), after=after) == []

    asyncio.run(scenario())


def test_a_row_is_said_in_json_with_its_key_as_a_list() -> None:
    """In the order of the parts, as the schema of the answer says it; and it is read back as the same row."""
    from twofold.http.openapi import openapi

    row = Star(key=("one", "ann"), stars=3)
    assert encode(row) == b'{"key":["one","ann"],"stars":3,"shares":[]}'
    schema = openapi(SERVICE.declaration)["components"]["schemas"]["Star"]["properties"]["key"]
    assert (schema["type"], [part["type"] for part in schema["prefixItems"]]) == ("array", ["string", "string"])
    assert (schema["minItems"], schema["maxItems"]) == (2, 2)


def test_rows_are_given_and_checked_without_a_database() -> None:
    """The testing kit folds them as a service does."""
    starred = [Starred(article="one", user="ann"), Shared(source="one", target="two", editor="ann")]
    given_events(Star, *starred).then(
        Star(key=("one", "ann"), stars=1, shares=("from",)), Star(key=("two", "ann"), shares=("to",))
    )
    given_events(kept, starred[0], Starred(article="one", user="ann", stars=2)).then(Kept(key=("one", "ann"), stars=3))


@pytest.mark.parametrize("key", ["one", ("one",), ("one", "ann", "x")], ids=repr)
def test_a_key_with_other_parts_is_told(key: Any) -> None:
    """By readers and by projections alike: it is a mistake in the code, and not a row that is not there."""

    async def scenario() -> None:
        store = SqliteViews(":memory:", CLOCK)
        await store.open()
        await schema.create(store, layout(Star))
        rows = Transaction(store, [Star])
        for reading in (Views(store).get(Star, key), rows.get(Star, key)):
            with pytest.raises(TypeError, match=r"is no key of Star, which is a tuple: \(article, user\)"):
                await reading
        with pytest.raises(TypeError, match="is no key of Star"):
            rows.delete(Star, key)
        rows.put(Star(key=("one", "a\0")))
        with pytest.raises(ValueRefused, match=r"Star\.user cannot be stored"):
            rows.writes()
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("where", "order_by", "search"),
    [
        ((), None, "sqlite_autoindex_star_v1_1 ((article,user)>(?,?))"),
        ((Star.c.article == "a",), None, "sqlite_autoindex_star_v1_1 (article=?)"),
        ((Star.c.user == "u",), None, "star_v1_by_user (user=? AND article>?)"),
        ((), Star.c.user, "star_v1_by_user ((user,article)>(?,?))"),
        ((), Star.c.article, "sqlite_autoindex_star_v1_1 ((article,user)>(?,?))"),
    ],
)
def test_a_page_by_any_part_is_a_search_in_an_index(where: Any, order_by: Any, search: str) -> None:
    """What it costs does not grow with the table, nor with the pages before it."""

    async def scenario() -> list[str]:
        store = SqliteViews(":memory:", CLOCK)
        await store.open()
        await schema.create(store, layout(Star))
        after = cursor_of(Star(key=("a", "u")), order_by)
        page = page_statement(Star, where, order_by, 10, after)
        sql = str(page.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        plan = [str(row[-1]) for row in await store.select(text(f"EXPLAIN QUERY PLAN {sql}"))]
        await store.close()
        return plan

    assert asyncio.run(scenario()) == [f"SEARCH star_v1 USING INDEX {search}"]


class Strict(Event, name="Starred"):
    """What was written before there were numbers: it does not fit `Starred` any more."""

    article: ArticleId
    user: UserId
    stars: str = "one"


def test_what_fails_is_parked_for_its_row_alone(tmp_path: Path) -> None:
    """Under a text that names both parts; other rows of each part flow on, and it is tried again by that text."""
    settings = Settings(log=f"sqlite:///{tmp_path}/log.db", views=f"sqlite:///{tmp_path}/views.db")
    fails = [
        Starred(article="a,b", user="ann", stars=-1),
        Strict(article="one", user="bob"),
        Starred(article="x" * 500, user="\U0001f642" * 500, stars=-1),
    ]
    behind = [Starred(article="a,b", user="ann"), Starred(article="one", user="bob")]
    flows = [Starred(article="a,b", user="bob"), Starred(article="a", user="b,ann"), Starred(article="one", user="ann")]
    texts = {"article:a,,b,user:ann": [1, 4], "article:one,user:bob": [2, 5]}

    async def parked(service: Running) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for each in await parking.parked(service.views, "star_v1"):
            found.setdefault(each.key, []).append(each.position)
        return found

    async def until_parked(service: Running, amount: int) -> dict[str, list[int]]:
        async with asyncio.timeout(30):
            while sum(map(len, (found := await parked(service)).values())) != amount:
                await asyncio.sleep(0.01)
        return found

    async def scenario() -> None:
        async with SERVICE.run(settings) as service:
            await service.log.append([new(event) for event in [*fails, *behind, *flows]])
            found = await until_parked(service, 5)
            assert {each: found.pop(each) for each in texts} == texts
            ((long, positions),) = found.items()
            assert (long[:12], long[-17], positions) == ("article:xxxx", "~", [3])
            await service.ask(StarsOf(user="bob"), after=Receipt("reader", 8))
            assert await rows_of(service, Star) == {("a,b", "bob"): 1, ("a", "b,ann"): 1, ("one", "ann"): 1}
            await parking.discard(service.views, "star_v1", "article:a,,b,user:ann", 1)
            await parking.request_retry(service.views, "star_v1", ["article:a,,b,user:ann"])
            await until_parked(service, 3)
            assert (await rows_of(service, Star))["a,b", "ann"] == 1

    asyncio.run(scenario())
