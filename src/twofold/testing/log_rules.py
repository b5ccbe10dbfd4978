"""What a log takes and what it refuses, whatever database it is in."""

from __future__ import annotations

from typing import Any

import pytest

from twofold.errors import ValueRefused
from twofold.log import (
    ALL,
    Append,
    Appended,
    Condition,
    Conflict,
    Criteria,
    Criterion,
    Guard,
    Log,
    NewEvent,
    ProcessedId,
    RecordedEvent,
)
from twofold.testing.log_scenarios import LogScenarios, by_tag, by_type, event, positions

_SURROGATE = "a\ud800"
_LATE = 1 << 63
_WRONG_TYPES: tuple[Any, ...] = ("", "a\0b", "a\x1fb", _SURROGATE, "x" * 501, 1, None, b"A", ["A"], {"A": 1})
_WRONG_TAGS: tuple[Any, ...] = ("", _SURROGATE, 1, None, b"x:1", ["x:1"])
_WRONG_POSITIONS: tuple[Any, ...] = (-1, _LATE, True, 1.0, "1", None)
_NO_TUPLES: tuple[Any, ...] = ("A", ["A"], None)
_WRONG_INDEXES: tuple[Any, ...] = (1, 2, -1, True, 0.0)
_WRONG_IDS: tuple[Any, ...] = ("", "a\0", _SURROGATE, "x" * 501, 7, None)
_WRONG_VERSIONS: tuple[Any, ...] = (-1, 1 << 31, True, 1.5, "1", None)
_NO_TAGS: tuple[Any, ...] = ("x:1", None, {"x:1"})
_NO_BYTES: tuple[Any, ...] = ("{}", None, bytearray(b"{}"))
_WRONG_EVENTS: tuple[Any, ...] = (
    *[NewEvent("id", each, 1, (), b"{}") for each in _WRONG_TYPES],
    *[NewEvent("id", "A", 1, (each,), b"{}") for each in _WRONG_TAGS],
    *[NewEvent(each, "A", 1, (), b"{}") for each in _WRONG_IDS],
    *[NewEvent("id", "A", each, (), b"{}") for each in _WRONG_VERSIONS],
    *[NewEvent("id", "A", 1, each, b"{}") for each in _NO_TAGS],
    *[NewEvent("id", "A", 1, (), each) for each in _NO_BYTES],
    *[NewEvent("id", "A", 1, (), b"{}", each) for each in _NO_BYTES],
    *[None, "A", RecordedEvent(1, "id", "A", 1, b"[]", b"{}", b"{}", 1)],
)
_WRONG_CRITERIA: tuple[Any, ...] = (
    *[(Criterion(types=("A", each)),) for each in _WRONG_TYPES],
    *[(Criterion(tags=("x:1", each)),) for each in _WRONG_TAGS],
    *[(Criterion(types=each),) for each in _NO_TUPLES],
    *[(Criterion(tags=each),) for each in _NO_TUPLES],
    *[Criterion(), None, "A", (None,), ("A",)],
    tuple(Criterion(tags=(f"x:{n}",)) for n in range(5001)),
    (Criterion(types=tuple(f"T{n}" for n in range(10_000))),),
)
_ODD_TYPES = ("A", "a", "A ", "\u00e9", "e\u0301", "A\x1e", "A\nB", "A,B", "A' OR 1", "\U0010ffff" * 500)
_ODD_DATA = (b"", b"\0", b"\xff\xfe", b"{", b"NaN", bytes(range(256)), b"null" * 1000)


class LogRules(LogScenarios):
    """The part of `twofold.testing.LogConformance` that is about values at the edge of what can be stored."""

    # What is refused.

    def test_an_event_that_no_log_takes_is_refused(self, stores: Any) -> None:
        """By the log and by its store, whatever the database could do with it; nothing is stored, and the log goes on."""

        async def scenario(log: Log) -> None:
            for wrong in _WRONG_EVENTS:
                with pytest.raises(ValueRefused):
                    await log.append([event("A"), wrong])
                with pytest.raises(ValueRefused):
                    await log.store.write([Append((event("A"), wrong))], 1)
            assert await log.append([event("B")]) == Appended(1, 1)

        self.run(stores, scenario)

    def test_a_condition_that_cannot_be_checked_is_refused(self, stores: Any) -> None:
        """One that asks for nothing would never fail, and a position is one that there can be."""
        conditions: list[Any] = [
            *[Condition(each, 0) for each in (*_WRONG_CRITERIA, ())],
            *[Condition(ALL, each) for each in _WRONG_POSITIONS],
            *[Condition(ALL, behind=each) for each in _WRONG_INDEXES],
            None,
        ]
        guards: list[Any] = [
            *[Guard(each, 0) for each in (*_WRONG_CRITERIA, ())],
            *[Guard(ALL, each) for each in _WRONG_POSITIONS],
            None,
        ]

        async def scenario(log: Log) -> None:
            for wrong in conditions:
                with pytest.raises(ValueRefused):
                    await log.store.write([Append((event("A"),)), Append((event("A"),), (Condition(ALL, 9), wrong))], 1)
            for guard in guards:
                with pytest.raises(ValueRefused):
                    await log.append([event("A")], Guard(ALL, 9), guard)
            assert await log.append([event("B")]) == Appended(1, 1)

        self.run(stores, scenario)

    def test_a_question_that_cannot_be_asked_is_refused(self, stores: Any) -> None:
        """Criteria, positions and limits are what they should be, read in whichever direction."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1")])
            questions: list[Any] = [
                *[(each, 0, 10) for each in _WRONG_CRITERIA],
                *[(ALL, each, 10) for each in _WRONG_POSITIONS],
                *[(ALL, 0, each) for each in _WRONG_POSITIONS],
            ]
            for criteria, after, limit in questions:
                for backwards in (False, True):
                    with pytest.raises(ValueRefused):
                        await log.read(criteria, after, limit, backwards=backwards)
                with pytest.raises(ValueRefused):
                    await log.history(criteria, after, limit)
            for limit in (0, *_WRONG_POSITIONS):
                with pytest.raises(ValueRefused):
                    await anext(log.follow(ALL, 0, limit))

        self.run(stores, scenario)

    def test_an_id_that_cannot_be_stored_is_refused(self, stores: Any) -> None:
        """So is a digest that is none."""
        wrong: list[Any] = [_SURROGATE, _SURROGATE * 1000, 1, None, b"id"]

        async def scenario(log: Log) -> None:
            for id in wrong:
                for refused in (log.store.write([Append((event("A"),), (), id)], 1), log.store.processed(id)):
                    with pytest.raises(ValueRefused):
                        await refused
                with pytest.raises(ValueRefused):
                    await log.append([event("A")], id=id)
            digests: list[Any] = ["one", None, b"x" * 65]
            for digest in digests:
                with pytest.raises(ValueRefused):
                    await log.append([event("A")], id="id", digest=digest)
            assert await log.append([event("B")], id="id", digest=b"x" * 64) == Appended(1, 1)

        self.run(stores, scenario)

    def test_an_append_that_is_too_big_is_refused(self, stores: Any) -> None:
        """However many events it is; one of the largest that there can be is stored."""
        large = NewEvent("large", "A", 1, ("x:1",), b" " * (33 << 20))
        many = [event("A", "x:2", data=b"%d" % n) for n in range(20_000)]

        async def scenario(log: Log) -> None:
            with pytest.raises(ValueRefused, match="64 MiB"):
                await log.append([large, large])
            with pytest.raises(ValueRefused, match="64 MiB"):
                await log.store.write([Append((large, large))], 1)
            assert await log.append([large]) == Appended(1, 1)
            assert await log.append(many) == Appended(2, 20_001)
            assert len((await log.read(by_tag("x:1")))[0].data) == 33 << 20
            assert positions(await log.read(by_tag("x:2"), 20_000)) == [20_001]

        self.run(stores, scenario)

    def test_what_no_log_takes_is_not_restored(self, stores: Any) -> None:
        """Or the copy could not be copied."""
        good = RecordedEvent(1, "id-1", "A", 1, b'["x:1"]', b"{}", b"{}", 1)
        fields: tuple[Any, ...] = (1, "id-2", "A", 1, b"[]", b"{}", b"{}", 1)
        changes: list[tuple[int, Any]] = [
            (1, ""), (1, "a\0"), (2, ""), (2, "a\x1fb"), (2, "x" * 501), (3, -1), (3, 1 << 31), (4, b'[""]')
        ]  # fmt: skip

        async def scenario(log: Log) -> None:
            for place, value in changes:
                wrong = RecordedEvent(2, *[value if place == n else each for n, each in enumerate(fields) if n])
                with pytest.raises(ValueRefused):
                    await log.store.restore([good, wrong], [ProcessedId("a", 1, 1)])
            for processed in (ProcessedId(_SURROGATE, 1, 1), ProcessedId("b", -1, 1), ProcessedId("b", 1, _LATE)):
                with pytest.raises(ValueRefused):
                    await log.store.restore([good], [ProcessedId("a", 1, 1), processed])
            assert await log.head() == 0
            assert await log.store.read_processed(0, 9) == []

        self.run(stores, scenario)

    # What is taken.

    def test_types_are_told_apart_by_their_characters(self, stores: Any) -> None:
        """By case, spaces and normal form; and the longest there are can be looked up."""

        async def scenario(log: Log) -> None:
            for position, type_ in enumerate(_ODD_TYPES, 1):
                assert await log.append([event(type_, "x:1")]) == Appended(position, position)
            for position, type_ in enumerate(_ODD_TYPES, 1):
                for criteria in (
                    by_type(type_),
                    by_tag("x:1", types=[type_]),
                    by_tag("x:1", "x:1", types=[type_, type_]),
                ):
                    assert positions(await log.read(criteria)) == [position]
                    assert await log.append([], Guard(criteria, position)) == Appended(
                        len(_ODD_TYPES) + 1, len(_ODD_TYPES)
                    )
                    assert isinstance(await log.append([], Guard(criteria, position - 1)), Conflict)

        self.run(stores, scenario)

    def test_data_is_any_bytes(self, stores: Any) -> None:
        """Whether or not they are text, or JSON."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", data=data, metadata=data) for data in _ODD_DATA])
            found = await log.read()
            assert [(each.data, each.encoded_metadata) for each in found] == [(data, data) for data in _ODD_DATA]

        self.run(stores, scenario)

    def test_an_events_id_is_only_a_name(self, stores: Any) -> None:
        """Two events may have one: what must not happen twice has an append's id."""
        same = NewEvent("same", "A", 0, ("x:1", "x:1"), b"{}")

        async def scenario(log: Log) -> None:
            assert await log.append([same, same]) == Appended(1, 2)
            assert await log.append([same]) == Appended(3, 3)
            found = await log.read(by_tag("x:1"))
            assert [(each.id, each.version, each.tags) for each in found] == [("same", 0, ("x:1", "x:1"))] * 3

        self.run(stores, scenario)

    @pytest.mark.parametrize("number", [9, 65, 1000, 9998])
    def test_an_event_may_have_many_tags(self, stores: Any, number: int) -> None:
        """And be asked for by all of them at once, in conditions too."""
        tags = tuple(f"x:{n}" for n in range(number))

        async def scenario(log: Log) -> None:
            await log.append(
                [event("A", *tags), event("B", *tags[1:]), event("B", *tags, "x:1"), event("A", *tags[:-1])]
            )
            assert positions(await log.read(by_tag(*tags))) == [1, 3]
            assert positions(await log.read(by_tag(*tags, types=["B"]))) == [3]
            assert positions(await log.read(by_tag(*tags[:-1]), limit=2, backwards=True)) == [4, 3]
            assert isinstance(await log.append([], Guard(by_tag(*tags), 2)), Conflict)
            assert isinstance(await log.append([], Guard(by_tag(*tags), 3)), Appended)

        self.run(stores, scenario)

    @pytest.mark.parametrize(
        "criteria",
        [
            tuple(Criterion(tags=(f"x:{n}",)) for n in range(5000)),
            tuple(Criterion(types=("A",), tags=(f"x:{n}", f"y:{n}")) for n in range(2500)),
            tuple(Criterion(types=(f"T{n}",)) for n in range(4999)) + by_type("A"),
            (Criterion(types=(*[f"T{n}" for n in range(9998)], "A")),),
            (Criterion(types=(*[f"T{n}" for n in range(9997)], "A"), tags=("x:1",)),),
        ],
        ids=["criteria of tags", "criteria of both", "criteria of types", "types", "types of a tag"],
    )
    def test_a_query_may_have_thousands_of_names(self, stores: Any, criteria: Criteria) -> None:
        """As whoever asks for a thousand accounts at once has."""

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1", "y:1"), event("B", "z:1")])
            assert positions(await log.read(criteria)) == [1]
            assert positions(await log.read(criteria, backwards=True)) == [1]
            assert [each.position for each in await log.history(criteria)] == [1]
            assert isinstance(await log.append([], Guard(criteria, 0)), Conflict)
            assert isinstance(await log.append([], Guard(criteria, 1)), Appended)

        self.run(stores, scenario)

    def test_a_limit_and_a_position_have_64_bits(self, stores: Any) -> None:
        """None is nothing, and the largest are more than there ever is."""
        last = _LATE - 1

        async def scenario(log: Log) -> None:
            await log.append([event("A", "x:1"), event("B", "x:1")])
            for criteria in (ALL, by_tag("x:1"), by_type("A", "B"), by_tag("x:1", types=["A", "B"])):
                assert positions(await log.read(criteria, limit=last)) == [1, 2]
                assert positions(await log.read(criteria, last, last, backwards=True)) == [2, 1]
                for after in (2, (1 << 62) - 1, 1 << 62, last):
                    assert await log.read(criteria, after, last) == []
                    assert await log.history(criteria, after, last) == []
                    assert await log.append([], Guard(criteria, after)) == Appended(3, 2)
                for backwards in (False, True):
                    assert await log.read(criteria, 0, 0, backwards=backwards) == []

        self.run(stores, scenario)
