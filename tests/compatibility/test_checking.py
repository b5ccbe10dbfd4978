"""The log against the code: what changed code would lose, park or get wrong is found before it is deployed."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import pytest

from tests.support.changed_code import loaded, service
from twofold import Event, Service, Tag, View, evolve, replace
from twofold.clock import SystemClock
from twofold.compatibility.checking import Finding, check_log
from twofold.log import Log, NewEvent
from twofold.operations.databases import opened_log
from twofold.service.adapters import open_log
from twofold.testing import running

CLOCK = SystemClock()
RENAMED_CLASS = ("Measured", "Metered")
RENAMED_FIELD = [("    units: int\n    parts", "    amount: int = 0\n    parts"), ("event.units", "event.amount"),
                 ("Measured(meter=command.meter, units=", "Measured(meter=command.meter, amount=")]  # fmt: skip
PARTS = "    parts: list[Part] = []"
RENAMED_TAG = ('Tag("meter")', 'Tag("gauge")')
NEW_VERSION = ("class Measured(Event)", "class Measured(Event, version=2)")


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'metering.db'}"


def fill(folder: Path) -> None:
    """Have the code decide that was there before; of both meters there is an Opened and three Measured."""
    folder.mkdir(exist_ok=True)
    asyncio.run(_fill(folder))


async def _fill(folder: Path) -> None:
    before = loaded()
    async with running(before.metering, folder) as started:
        for meter in ("a", "b"):
            for units in (1, 2, 3):
                await started.send(before.Read(meter=meter, units=units))


async def store(folder: Path, *events: NewEvent) -> None:
    """Append what no code of ours has written."""
    log = await Log.open(open_log(url(folder), CLOCK), CLOCK)
    await log.append(events)
    await log.close()


async def check(folder: Path, code: Service, *, fold: bool = True) -> list[Finding]:
    async with opened_log(url(folder)) as log:
        return await check_log(code.declaration, log, fold=fold)


def found(folder: Path, *changes: tuple[str, str], events: Sequence[NewEvent] = ()) -> list[Finding]:
    """Return what changed code would do to a log that earlier code has written."""
    fill(folder)
    if events:
        asyncio.run(store(folder, *events))
    return asyncio.run(check(folder, service(*changes)))


def measured(data: bytes, version: int = 1, tags: tuple[str, ...] = ("meter:a",), metadata: bytes = b"{}") -> NewEvent:
    return NewEvent(CLOCK.new_id(), "Measured", version, tags, data, metadata)


def test_the_code_that_wrote_a_log_reads_all_of_it(tmp_path: Path) -> None:
    """Nothing is found where nothing was changed, and a log without events is fine with any code."""
    assert found(tmp_path) == []


def test_an_event_class_that_was_renamed_is_found_with_its_new_name(tmp_path: Path) -> None:
    """What nothing reads is counted, and the class that could read it is told."""
    (finding,) = found(tmp_path, RENAMED_CLASS)
    assert (finding.kind, finding.type, finding.version, finding.events, finding.position) == (
        "unread", "Measured", 1, 6, 2
    )  # fmt: skip
    assert 'class Metered(Event, name="Measured")' in finding.advice
    assert (
        found(tmp_path / "again", RENAMED_CLASS, ("class Metered(Event)", 'class Metered(Event, name="Measured")'))
        == []
    )


def test_what_is_ignored_by_name_is_fine(tmp_path: Path) -> None:
    """Who knows that nothing shall read a type any more, says so."""
    ignoring = ("views=[Usage]", 'views=[Usage], ignores=["Measured"]')
    assert found(tmp_path, RENAMED_CLASS, ignoring) == []


def test_a_field_that_was_renamed_beside_a_default_is_found(tmp_path: Path) -> None:
    """What was stored would be taken for the default, and the advice makes it be read."""
    (finding,) = found(tmp_path, *RENAMED_FIELD)
    assert (finding.kind, finding.type, finding.events, finding.position) == ("lost", "Measured", 6, 2)
    assert "units" in finding.what
    assert "amount" in finding.what
    assert 'amount: … = msgspec.field(default=…, name="units")' in finding.advice
    cure = ("amount: int = 0", 'amount: int = msgspec.field(default=0, name="units")')
    assert found(tmp_path / "again", *RENAMED_FIELD, cure) == []


def test_a_field_within_a_struct_within_a_list_is_found(tmp_path: Path) -> None:
    """Whatever an event is made of, is part of it."""
    (finding,) = found(tmp_path, ("load: int = 0", "power: int = 0"))
    assert (finding.kind, finding.events) == ("lost", 6)
    assert "parts[].load" in finding.what
    assert "parts[].power" in finding.what


def test_a_new_field_with_a_default_is_fine(tmp_path: Path) -> None:
    """That is how an event grows."""
    assert found(tmp_path, (PARTS, f"{PARTS}\n    place: str = ''")) == []


def test_fields_that_an_upcast_drops_are_not_lost(tmp_path: Path) -> None:
    """Who says so on purpose is believed; one that an upcast leaves over is found."""
    drops = '    @upcast(1)\n    def dropped(data):\n        return {"meter": data["meter"], "units": data["units"]}\n'
    keeps = "    @upcast(1)\n    def kept(data):\n        return data\n"
    yields = (', parts=[Part("L1", 1), Part("L2", 2)]', "")
    assert found(tmp_path, NEW_VERSION, (PARTS, drops), yields) == []
    (finding,) = found(tmp_path / "again", NEW_VERSION, (PARTS, keeps), yields)
    assert (finding.kind, finding.version) == ("lost", 1)
    assert "let the @upcast(1) drop it" in finding.advice


def test_versions_that_are_not_read_are_found(tmp_path: Path) -> None:
    """Newer code has written them. That older ones have their upcasts is seen to where the class is declared."""
    newer = measured(b'{"meter":"a","units":1}', version=3)
    (finding,) = found(tmp_path, events=[newer])
    assert (finding.kind, finding.version, finding.events) == ("version", 3, 1)
    assert "newer code" in finding.what


def test_an_upcast_that_fails_is_found(tmp_path: Path) -> None:
    """Its own error is told."""
    fails = "    parts: list[Part] = []\n\n    @upcast(1)\n    def went(data):\n        return data['no such']\n"
    (finding,) = found(tmp_path, NEW_VERSION, (PARTS, fails))
    assert (finding.kind, finding.events) == ("misfit", 6)
    assert "KeyError('no such')" in finding.what


def test_an_identity_whose_tag_was_renamed_is_found(tmp_path: Path) -> None:
    """The log has it under the old tag, so its aggregate would not see its own past."""
    findings = found(tmp_path, RENAMED_TAG)
    assert [(each.kind, each.type, each.events) for each in findings] == [
        ("tags", "Measured", 6),
        ("tags", "Opened", 2),
    ]
    assert "gauge:…" in findings[0].what


def test_an_identity_that_was_added_or_taken_away_is_found(tmp_path: Path) -> None:
    """Of what is recorded, nobody finds anything by a tag that is new; and by one that is gone, nobody looks."""
    place = ("    parts: list", '    place: Annotated[str, Tag("place")] = "hall"\n    parts: list')
    (added,) = found(tmp_path, place)
    assert (added.kind, added.events) == ("tags", 6)
    assert "place:…" in added.what
    two = measured(b'{"meter":"a","units":1,"parts":[]}', tags=("meter:a", "place:hall"))
    (gone,) = found(tmp_path / "again", events=[two])
    assert (gone.kind, gone.events, gone.position) == ("tags", 1, 9)


def test_a_step_that_raises_is_found_once_for_each_key(tmp_path: Path) -> None:
    """The aggregate could not be loaded, and the view would park the key; later events of the key are not counted."""
    findings = found(tmp_path, ("self.total + event.units", "self.total + 6 // (event.units - 2)"))
    assert [(each.kind, each.events, each.position) for each in findings] == [("stops", 2, 3), ("stops", 2, 3)]
    assert "Meter.measured raises ZeroDivisionError" in findings[0].what
    assert "Usage.measured raises ZeroDivisionError" in findings[1].what


def test_a_row_that_no_table_takes_is_found(tmp_path: Path) -> None:
    """An aggregate may count on, and the view would park the key."""
    (finding,) = found(tmp_path, ("self.total + event.units", "self.total + event.units * 2**62"))
    assert (finding.kind, finding.events, finding.position) == ("stops", 2, 3)
    assert "Usage.total cannot be stored" in finding.what


class Starred(Event):
    article: Annotated[str, Tag("article")]
    user: Annotated[str, Tag("user")]
    stars: int = 1


class Star(View, key=(Annotated[str, Tag("article")], Annotated[str, Tag("user")])):
    stars: int = 0

    @evolve
    def starred(self, event: Starred) -> Self:
        return replace(self, stars=self.stars + 6 // event.stars)


def test_each_row_that_several_identities_name_stops_by_itself(tmp_path: Path) -> None:
    """Others of the same article or user are folded on; those of an event that cannot be read stop by its tags."""
    stars = [("one", "ann", "0"), ("one", "bob", "1"), ("two", "ann", "0"), ("one", "ann", "0"), ("two", "bob", '"no"')]
    events = [
        NewEvent(
            CLOCK.new_id(), "Starred", 1, (f"article:{article}", f"user:{user}"),
            f'{{"article":"{article}","user":"{user}","stars":{number}}}'.encode(),
        )
        for article, user, number in [*stars, ("two", "bob", "0")]
    ]  # fmt: skip
    asyncio.run(store(tmp_path, *events))
    findings = asyncio.run(check(tmp_path, Service("reader", views=[Star])))
    assert [(each.kind, each.events, each.position) for each in findings if each.kind == "stops"] == [("stops", 2, 1)]


def test_without_folding_no_step_is_run(tmp_path: Path) -> None:
    """Then nothing is kept in memory."""
    fill(tmp_path)
    code = service(("self.total + event.units", "self.total + 6 // (event.units - 2)"))
    assert asyncio.run(check(tmp_path, code, fold=False)) == []


HOSTILE = {
    "no JSON": b"\xff\xfe{",
    "nothing": b"",
    "not an object": b"[1, 2]",
    "deep": b'{"meter":"a","units":1,"parts":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep in what is not read": b'{"meter":"a","units":1,"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge": b'{"meter":"a","units":1' + b"0" * 100_000 + b"}",
    "lone surrogate": b'{"meter":"\\ud800","units":1}',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_in_a_log_is_a_finding_and_no_failure(tmp_path: Path, data: bytes) -> None:
    """What does not fit its class is counted, its key is not folded further, and all others are."""
    findings = found(tmp_path, events=[measured(data), measured(b'{"meter":"a","units":5}')])
    assert [(each.type, each.events, each.position) for each in findings] == [("Measured", 1, 9)]
    assert findings[0].kind in {"misfit", "lost"}


def test_metadata_that_is_none_is_found(tmp_path: Path) -> None:
    """Publishing and reacting read it."""
    (finding,) = found(tmp_path, events=[measured(b'{"meter":"a","units":5,"parts":[]}', metadata=b"\xff\xfe")])
    assert (finding.kind, finding.position) == ("misfit", 9)


def test_errors_with_a_text_for_each_event_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A few are told as they are, and all are counted."""
    events = [measured(b'{"meter":"a","units":1}' + b" " * n + b"x") for n in range(100)]
    findings = found(tmp_path, events=events)
    assert len(findings) == 11
    assert sum(each.events for each in findings) == 100


FOREIGN = [
    ("class Measured(Event)", "class Measured(Event, source='grid')"),
    ("aggregates=[Meter], views=[Usage]", "views=[Usage], subscribes=[Measured]"),
]


def test_events_of_another_service_may_have_more_than_is_read(tmp_path: Path) -> None:
    """A tolerant reader takes what it needs, of whichever version; but a field that it waits for in vain is found."""
    data = {4: b'{"meter":"a","units":1,"x":1}', 1: b'{"meter":"a","units":1,"parts":[],"y":1}'}
    heard = [
        NewEvent(CLOCK.new_id(), "grid.Measured", version, ("meter:a",), each, b"{}") for version, each in data.items()
    ]
    asyncio.run(store(tmp_path, *heard))
    assert asyncio.run(check(tmp_path, service(*FOREIGN))) == []
    waits = ("    units: int\n    parts", "    units: int\n    amount: int = 0\n    parts")
    findings = asyncio.run(check(tmp_path, service(*FOREIGN, waits)))
    assert [(each.kind, each.version, each.events) for each in findings] == [("awaited", 1, 1), ("awaited", 4, 1)]
    assert "the field amount" in findings[0].what


# At the start of a service.


def told(folder: Path, caplog: pytest.LogCaptureFixture, code: Service) -> list[str]:
    """Return the warnings of a start with other code."""
    caplog.clear()

    async def scenario() -> None:
        async with running(code, folder):
            pass

    with caplog.at_level(logging.WARNING, logger="twofold.service"):
        asyncio.run(scenario())
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    return [each for each in warnings if "begins with an empty log" not in each]


def test_a_start_says_nothing_where_all_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new log, and one that this code has written, are as they should be."""
    assert told(tmp_path, caplog, service()) == []
    fill(tmp_path)
    assert told(tmp_path, caplog, service()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            [RENAMED_CLASS],
            ["Measured, version 1, 6 in all", "nothing reads it", 'class Metered(Event, name="Measured")'],
        ),
        (RENAMED_FIELD, ["Measured", "its field units is read by nothing", "amount"]),
        ([RENAMED_TAG], ["Measured", "Opened", "gauge:…"]),
        ([("    units: int\n    parts", "    units: str\n    parts")], ["Measured", "does not fit"]),
    ],
    ids=["class", "field", "tag", "type"],
)
def test_a_start_warns_once_of_what_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: list[tuple[str, str]], words: list[str]
) -> None:
    """In one line, with how many there are and what to do."""
    fill(tmp_path)
    (warning,) = told(tmp_path, caplog, service(*changes))
    for each in words:
        assert each in warning


def test_a_start_on_the_log_of_another_service_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has the wrong URL reads of it."""
    fill(tmp_path)
    other = [("Measured", "Traded"), ("Opened", "Listed"), ("units: int\n    parts", "price: int\n    parts"),
             ("event.units", "event.price"), ("units=command", "price=command")]  # fmt: skip
    (warning,) = told(tmp_path, caplog, service(*other))
    assert "is it the log of another service?" in warning


def test_a_start_survives_whatever_the_log_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison that fails is told, and the service runs."""

    async def fails(store: object, most: int) -> None:
        raise RuntimeError("no index")

    monkeypatch.setattr("twofold.adapters.sqlite.log.SqliteStore.types", fails)
    assert told(tmp_path, caplog, service()) == []
    assert "could not be compared with its code" in caplog.text
