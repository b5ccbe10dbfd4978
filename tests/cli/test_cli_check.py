"""``twofold check``, as a process: for people, for programs, and for whoever deploys."""

import gzip
import sqlite3

import msgspec
import pytest

from tests.cli.conftest import CommandLine
from tests.support.changed_code import BEFORE, changed, loaded

RENAMED = ("Measured", "Metered")


@pytest.fixture
def filled(twofold: CommandLine) -> CommandLine:
    """A folder with the code that wrote a log, and with code in which an event's class has another name."""
    before = loaded()
    twofold.fill(before.metering, *[before.Read(meter=meter, units=units) for meter in "ab" for units in (1, 2)])
    twofold.write("before.py", BEFORE)
    twofold.write("after.py", changed(RENAMED))
    return twofold


def test_code_that_reads_all_of_its_log_is_fine(filled: CommandLine) -> None:
    """The exit code is 0, and one line says what was looked at."""
    assert filled("check", "before:metering").lines == [
        "metering: this code reads all of its 6 events as they were written."
    ]
    assert filled("check", "before:metering", "--json").json == [{"service": "metering", "events": 6, "findings": []}]


def test_what_would_be_lost_is_told_and_ends_the_deployment(filled: CommandLine) -> None:
    """The exit code is 1; there is how many, where, and what to do; programs get the same as JSON."""
    found = filled("check", "after:metering")
    assert found.code == 1
    assert found.errors == ""
    heading, empty, what, how_many, advice = found.output.splitlines()
    assert heading == "metering: of its 6 events, this code does not read all as they were written."
    assert empty == ""
    assert what == "Measured, version 1: nothing reads it"
    assert how_many == "    4 events, first at position 2"
    assert 'class Metered(Event, name="Measured")' in advice
    as_json = filled("check", "after:metering", "--json")
    assert as_json.code == 1
    ((finding,),) = [each["findings"] for each in msgspec.json.decode(as_json.output)]
    assert (finding["kind"], finding["type"], finding["events"], finding["position"]) == ("unread", "Measured", 4, 2)


@pytest.mark.parametrize("file", ["log.jsonl", "log.jsonl.gz"])
def test_an_export_is_checked_as_its_log_is(filled: CommandLine, file: str) -> None:
    """Where the log itself cannot be reached, its export can; one that was cut short is no log."""
    filled("log", "export", "before:metering", file)
    assert filled.within("check", "before:metering", "--export", file).code == 0
    assert filled.within("check", "after:metering", "--export", file).code == 1
    path = filled.folder / file
    lines = (gzip.decompress if file.endswith("gz") else bytes)(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes((gzip.compress if file.endswith("gz") else bytes)(b"".join(lines[:-1])))
    assert "cut short" in filled("check", "before:metering", "--export", file).complaint


def test_what_cannot_be_checked_is_no_finding(twofold: CommandLine) -> None:
    """No log, or no service: the exit code is 2, which is not that of a finding."""
    twofold.write("before.py", BEFORE)
    assert "metering.db" in twofold("check", "before:metering").complaint
    assert "nothing" in twofold("check", "before:nothing").complaint
    assert "missing.jsonl" in twofold("check", "before:metering", "--export", "missing.jsonl").complaint
    assert list(twofold.folder.glob("*.db")) == []


def test_each_service_of_a_system_is_checked(filled: CommandLine) -> None:
    """Each with its own log; one may be chosen, and has to be for an export."""
    filled.write("both.py", "from twofold import Service, System\nfrom before import metering\n"
                 "system = System(metering, Service('empty'))\n")  # fmt: skip
    filled.fill(loaded("from twofold import Service\nmetering = Service('empty')").metering)
    assert [each["service"] for each in filled("check", "both:system", "--json").json] == ["metering", "empty"]
    assert len(filled.within("check", "both:system", "--service", "metering").lines) == 1
    assert filled.within("check", "both:system", "--export", "log.jsonl").code == 2


def test_a_service_that_runs_is_checked(filled: CommandLine) -> None:
    """Nothing is written and nobody is held up: the code of tomorrow is tried on the log of today."""
    with filled.serving("before:metering") as served:
        assert filled("check", "after:metering").code == 1
        served.send("Read", meter="a", units=3)
        assert filled("check", "before:metering", "--json").json[0]["events"] == 7


def test_names_that_are_commands_to_a_terminal_are_made_visible(twofold: CommandLine) -> None:
    """The types in a log may be anybody's."""
    before = loaded(changed())
    twofold.fill(before.metering, before.Read(meter="a", units=1))
    connection = sqlite3.connect(twofold.folder / "metering.db")
    connection.execute("UPDATE events SET type = char(27) || '[2J'")
    connection.commit()
    connection.close()
    twofold.write("before.py", BEFORE)
    found = twofold("check", "before:metering")
    assert found.code == 1
    assert "\x1b" not in found.output
