"""A log as lines of JSON: every byte comes back, and whatever is not an export is told."""

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.copies.contents import Chunk, Digest
from twofold.copies.lines import Export, chunk_lines, event_json, first_line, last_line
from twofold.errors import LogCorrupted
from twofold.log import ProcessedId, RecordedEvent
from twofold.messages import encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)
SPACE = st.sampled_from([b"", b" ", b"\n", b"\r\n", b"\t", b"\0"])
DATA = st.one_of(
    JSON.map(msgspec.json.encode),
    st.binary(),
    st.tuples(SPACE, JSON.map(lambda value: msgspec.json.format(msgspec.json.encode(value))), SPACE).map(b"".join),
    st.sampled_from(
        [b"", b"1,2", b'1,"x":2', b"{}{}", b"}", b'"', b"1}\n{", b"NaN", b'"\xff"', b'"\\ud800"', b"[" * 5000]
    ),
    st.integers(1, 4000).map(lambda depth: b"[" * depth + b"]" * depth),
)
TIMES = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
NAMES = TEXTS.filter(lambda text: text and not {"\0", "\x1f"} & {*text})
TAGS = st.lists(TEXTS.filter(bool)).map(encode)
EVENTS = st.builds(RecordedEvent, st.just(1), NAMES, NAMES, st.integers(0, 2**31 - 1), TAGS, DATA, DATA, TIMES)
IDS = st.builds(ProcessedId, TEXTS, st.integers(1, 1 << 62), st.integers(0, 1 << 62), st.binary())


def in_a_row(events: list[RecordedEvent]) -> list[RecordedEvent]:
    return [msgspec.structs.replace(event, position=position) for position, event in enumerate(events, 1)]


def exported(events: list[RecordedEvent], processed: list[ProcessedId]) -> list[bytes]:
    digest, chunk = Digest(), Chunk(events, processed)
    digest.add(chunk)
    text = first_line(len(events)) + b"\n" + chunk_lines(chunk) + last_line(digest) + b"\n"
    return text.splitlines(keepends=True) if b"\r" not in text else [each + b"\n" for each in text.split(b"\n")[:-1]]


def imported(lines: list[bytes]) -> tuple[list[RecordedEvent], list[ProcessedId]]:
    chunks = list(Export("a file", lines).chunks())
    return [event for chunk in chunks for event in chunk.events], [each for chunk in chunks for each in chunk.processed]


@given(st.lists(EVENTS, max_size=4), st.lists(IDS, max_size=4))
def test_every_byte_comes_back(events: list[RecordedEvent], processed: list[ProcessedId]) -> None:
    """Whatever is in a log, its lines make the same log: one line for each event and each id, and each line is JSON."""
    events = in_a_row(events)
    lines = exported(events, processed)
    assert len(lines) == len(events) + len(processed) + 2
    assert all(msgspec.json.decode(line, type=dict[str, msgspec.Raw]) for line in lines)
    assert imported(lines) == (events, processed)


def event(**changes: object) -> RecordedEvent:
    plain = RecordedEvent(1, "id-1", "A", 1, b'["x:1"]', b'{"n": 1}', b'{"actor":"ann"}', 1_767_268_800_000_001)
    return msgspec.structs.replace(plain, **changes)


def test_a_line_can_be_read() -> None:
    """Where data and metadata are JSON on one line, they stand there as they are; where not, the name says so."""
    assert event_json(event()) == (
        b'{"position":1,"id":"id-1","type":"A","version":1,"tags":["x:1"],"data":{"n": 1},"metadata":{"actor":"ann"},'
        b'"recorded_at":"2026-01-01T12:00:00.000001Z"}'
    )
    assert event_json(event(data=b"\x00\xff", encoded_metadata=b"{}\n")) == (
        b'{"position":1,"id":"id-1","type":"A","version":1,"tags":["x:1"],"data_base64":"AP8=","metadata_base64":"e30K",'
        b'"recorded_at":"2026-01-01T12:00:00.000001Z"}'
    )


def replaced(line: int, old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    def change(lines: list[bytes]) -> list[bytes]:
        assert old in lines[line - 1]
        return [*lines[: line - 1], lines[line - 1].replace(old, new), *lines[line:]]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [], r"a file, line 1: .*truncated"),
        (lambda lines: lines[2:], r"a file, line 1: .*unknown field `position`.*`twofold log export` writes what"),
        (
            replaced(1, b":1,", b":2,"),
            "a file, line 1: the format is 2, and this Twofold reads 1. Install a newer one.",
        ),
        (
            lambda lines: lines[:-1],
            "a file, line 5: the file ends before its last line, so it was cut short. Export again.",
        ),
        (lambda lines: [*lines[:3], lines[3][:40]], r"a file, line 4: .*truncated, in '{\"position\":2,\"id\""),
        (
            lambda lines: [*lines[:2], *lines[3:]],
            "a file, line 3: position 2 stands where 1 should. Lines are missing.",
        ),
        (lambda lines: [lines[0], *lines[2:]], r"a file, line 4: the lines before .* not those .* 2 events and 0 ids"),
        (lambda lines: lines * 2, "a file, line 6: this should be after the end. Import one export at a time."),
        (
            replaced(3, b'"n": 1', b'"n":1'),
            "a file, line 5: the lines before this one are not those that were exported",
        ),
        (replaced(3, b'"version":1', b'"version":"1"'), r"a file, line 3: Expected `int`, got `str` - at `\$.version`"),
        (replaced(3, b'"version":1', b'"version":2147483648'), r"a file, line 3: .* at `\$.version`"),
        (replaced(3, b'["x:1"]', b"[1]"), r"a file, line 3: Expected `str`, got `int` - at `\$\[0\]`"),
        (replaced(3, b'"data"', b'"dato"'), "a file, line 3: Object contains unknown field `dato`"),
        (replaced(3, b'"data":{"n": 1},', b""), "a file, line 3: an event has data or data_base64, one of the two."),
        (
            replaced(3, b'"data"', b'"data_base64":"","data"'),
            "a file, line 3: an event has data or data_base64, one of",
        ),
        (replaced(3, b"12:00:00.000001Z", b"12:00:00"), r"a file, line 3: .*timezone.* at `\$.recorded_at`"),
        (replaced(3, b"{", b"\xff"), r"a file, line 3: JSON is malformed.*in '\\\\xff"),
        (replaced(2, b'"last":1', b'"last":-1'), r"a file, line 2: .*>= 0.* at `\$.last`"),
        (lambda lines: [*lines[:2], b"\n", *lines[2:]], r"a file, line 3: .*truncated, in ''"),
        (replaced(3, b'"n": 1', b'"n": ' + b"[" * 100_000), "a file, line 3: maximum recursion depth"),
    ],
)
def test_what_is_no_export_is_told(change: Callable[[list[bytes]], list[bytes]], said: str) -> None:
    """The text names the file, the line and the reason."""
    lines = exported(in_a_row([event(), event(id="id-2")]), [ProcessedId("c-1", 1, 1)])
    with pytest.raises(LogCorrupted, match=said):
        imported(change(lines))


def test_nothing_of_a_page_with_a_wrong_line_is_given_out() -> None:
    """Whoever restores chunk by chunk restores none of it."""
    lines = exported(in_a_row([event(id=f"id-{n}") for n in range(4100)]), [])
    lines[4050] = b"what?\n"
    chunks = Export("a file", lines).chunks()
    assert [each.position for each in next(chunks).events] == list(range(1, 4001))
    with pytest.raises(LogCorrupted, match=re.escape("a file, line 4051: ")):
        next(chunks)


def test_an_export_without_contents_of_ids_is_as_it_was() -> None:
    """Exports of logs that know none can be read by earlier versions, and theirs by this one."""
    lines = exported([], [ProcessedId("c-1", 1, 0)])
    assert lines[1:] == [
        b'{"handled":"c-1","first":1,"last":0}\n',
        b'{"digest":"sha256:461ab2c430d1ce8934214812bd5616c7bcb0209b7390f88d15bb36fd2a363142","events":0,"handled":1}\n',
    ]
    known = exported([], [ProcessedId("c-1", 1, 0, b"\0one")])
    assert known[1] == b'{"handled":"c-1","first":1,"last":0,"digest":"AG9uZQ=="}\n'
    assert known[2] != lines[2], "the sum is of the contents, too"
