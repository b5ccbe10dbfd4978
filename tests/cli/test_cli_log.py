import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from examples.bank import Deposit, Transfer, bank
from tests.cli.conftest import CommandLine
from twofold import Command, Event, Service, decide

BANK = "examples.bank:bank"
INSTALLED = "memory:, postgresql:, sqlite:, which are installed; other packages register theirs in twofold.logs."
IN_MEMORY = (
    "'memory:': what a service has in memory, no other process sees. Set TWOFOLD_LOG and TWOFOLD_VIEWS to what the service "
    "runs with, for example TWOFOLD_LOG=sqlite:///bank.db"
)


class Count(Command):
    up_to: int


class Counted(Event):
    number: int


@decide
def count(command: Count) -> Iterator[Counted]:
    yield from [Counted(number=number) for number in range(command.up_to)]


@pytest.fixture
def filled(twofold: CommandLine) -> CommandLine:
    """A bank in whose log ann and bob have five deposits and one transfer."""
    deposits = [("ann", 10), ("bob", 20), ("ann", 30), ("bob", 40), ("ann", 50)]
    commands = [Deposit(account=account, amount=amount) for account, amount in deposits]
    twofold.fill(bank, *commands, Transfer(source="ann", target="bob", amount=5))
    return twofold


def positions(twofold: CommandLine, *options: str) -> list[int]:
    return [msgspec.json.decode(line)["position"] for line in twofold.within("log", BANK, "--json", *options).lines]


def test_a_line_shows_position_type_tags_and_data(filled: CommandLine) -> None:
    """What happened can be read, the oldest first."""
    lines = filled("log", BANK).lines
    assert len(lines) == 6
    position, _, _, name, *rest = lines[5].split()
    assert (position, name) == ("6", "Transferred")
    assert rest == ["account:ann", "account:bob", '{"source":"ann","target":"bob","amount":5}']


def test_json_has_the_whole_event(filled: CommandLine) -> None:
    """A program gets everything that the log has, with the data as JSON and not as text."""
    event = msgspec.json.decode(filled("log", BANK, "--json", "--limit", "1").lines[0])
    assert event["id"] > "0"
    assert event["metadata"].keys() == {"correlation", "causation", "command"}
    assert event["recorded_at"].endswith("Z")
    del event["id"], event["metadata"], event["recorded_at"]
    assert event == {
        "position": 6,
        "type": "Transferred",
        "version": 1,
        "tags": ["account:ann", "account:bob"],
        "data": {"source": "ann", "target": "bob", "amount": 5},
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        (["--limit", "2"], [5, 6]),
        (["--limit", "0"], [1, 2, 3, 4, 5, 6]),
        (["--after", "2"], [3, 4, 5, 6]),
        (["--after", "2", "--limit", "2"], [3, 4]),
        (["--after", "0", "--limit", "1"], [1]),
        (["--after", "6"], []),
        (["--backwards", "--limit", "2"], [6, 5]),
        (["--backwards", "--after", "3"], [2, 1]),
        (["--backwards", "--limit", "0"], [6, 5, 4, 3, 2, 1]),
        (["--tag", "account:bob"], [2, 4, 6]),
        (["--tag", "account:bob", "--tag", "account:ann"], [6]),
        (["--tag", "account:ann", "--limit", "2"], [5, 6]),
        (["--type", "Transferred"], [6]),
        (["--type", "Transferred", "--type", "Opened"], [6]),
        (["--type", "Deposited", "--tag", "account:ann", "--backwards"], [5, 3, 1]),
        (["--type", "Nothing"], []),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_options_select_events(filled: CommandLine, options: list[str], expected: list[int]) -> None:
    """By default the last events are shown; behind a position, or backwards, what was asked for; tags all, types any."""
    assert positions(filled, *options) == expected


def test_more_events_than_are_read_at_once_are_all_shown(twofold: CommandLine) -> None:
    """A long log is printed page by page, in either direction, without a gap."""
    twofold.fill(Service("bank", decisions=[count]), Count(up_to=2500))
    assert positions(twofold, "--limit", "0") == list(range(1, 2501))
    assert positions(twofold, "--after", "100", "--limit", "2200") == list(range(101, 2301))
    assert positions(twofold, "--limit", "2200") == list(range(301, 2501))
    assert positions(twofold, "--limit", "2400", "--backwards") == list(range(2500, 100, -1))


def test_a_log_can_be_named_by_its_url(filled: CommandLine) -> None:
    """Without the service's code, its log can still be read."""
    absolute = filled("log", f"sqlite:///{filled.folder}/bank.db", "--json", "--limit", "1").json
    assert absolute == filled("log", "sqlite:///bank.db", "--json", "--limit", "1").json
    assert absolute["position"] == 6


def test_one_service_of_a_system_is_chosen(twofold: CommandLine) -> None:
    """Each has a log of its own."""
    with twofold.serving("tests.cli.shaky_service:both") as both:
        both.send("Throw", player="ann", points=5)
        both.end()
    target = "tests.cli.shaky_service:both"
    assert [line.split()[3] for line in twofold("log", target, "--service", "shaky").lines] == ["Thrown"]
    assert twofold("log", target, "--service", "projecting").lines == []


def test_following_shows_what_comes_once_and_ends_quietly(filled: CommandLine) -> None:
    """The last events, then each new one; Ctrl-C ends it without a trace."""
    following = filled.begin("log", BANK, "--follow", "--limit", "1", "--json", "--tag", "account:ann")
    assert following.stdout is not None
    assert msgspec.json.decode(following.stdout.readline())["position"] == 6
    with filled.serving(BANK) as served:
        served.send("Deposit", account="bob", amount=1)
        served.send("Deposit", account="ann", amount=2)
        assert msgspec.json.decode(following.stdout.readline())["position"] == 8
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=60) == ("", "")
    assert following.returncode == 130


def test_following_from_a_position_begins_behind_it(filled: CommandLine) -> None:
    """A program that knows how far it is goes on from there."""
    following = filled.begin("log", BANK, "--follow", "--after", "4", "--json")
    assert following.stdout is not None
    read = [msgspec.json.decode(following.stdout.readline())["position"] for _ in range(2)]
    following.terminate()
    following.communicate(timeout=60)
    assert read == [5, 6]


def test_reading_waits_for_no_writer_and_writes_nothing(filled: CommandLine) -> None:
    """A log that another process has locked can be read, and its file stays as it was, byte by byte."""
    path = filled.folder / "bank.db"
    before = path.read_bytes()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert len(filled("log", BANK).lines) == 6
    finally:
        writer.close()
    assert path.read_bytes() == before


def test_a_log_that_may_only_be_read_is_read(filled: CommandLine) -> None:
    """Whoever looks needs no right to write the file."""
    for file in filled.folder.glob("bank.db*"):
        file.chmod(0o444)
    assert len(filled("log", BANK).lines) == 6


def test_a_file_that_is_not_there_is_told_and_not_made(twofold: CommandLine) -> None:
    """Looking in the wrong folder leaves nothing behind."""
    assert twofold("log", BANK).complaint == (
        "twofold: bank.db: there is no such file. A service makes it when it starts. Look from the folder that the service "
        "runs in, with its TWOFOLD_ settings."
    )
    assert list(twofold.folder.iterdir()) == []


def test_a_file_that_no_service_has_made_is_told(twofold: CommandLine) -> None:
    """An empty database, or something else than one, is not taken for a log without events."""
    sqlite3.connect(twofold.folder / "bank.db").execute("CREATE TABLE t (x)").connection.close()
    assert "no service has been started with this file yet" in twofold("log", BANK).complaint
    twofold.write("bank.db", "This is a letter to somebody, and it is longer than a page of SQLite's is." * 100)
    assert twofold("log", BANK).complaint.startswith("twofold: bank.db: file is not a database.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            [BANK, "--backwards", "--follow"],
            "--backwards ends at the first event, and --follow never ends. Leave one of them out.",
        ),
        ([BANK, "--tag", "ann"], "--tag ann: a tag is written name:value, such as account:ann."),
        (["mysql://x"], f"'mysql://x': 'mysql' is not one of {INSTALLED}"),
        (["sqlite://bank.db"], "'sqlite://bank.db': a file is named after three slashes, four if absolute."),
        (["memory:"], IN_MEMORY),
    ],
)
def test_options_that_make_no_sense_are_told(twofold: CommandLine, options: list[str], said: str) -> None:
    """Each is refused with what to do instead."""
    assert twofold.within("log", *options).complaint == f"twofold: {said}"


def test_a_reader_that_has_enough_ends_it_quietly(filled: CommandLine) -> None:
    """`twofold log … | head -1` is an everyday thing."""
    listing = filled.begin("log", BANK, "--json", "--follow", "--after", "0")
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.readline()
    listing.stdout.close()
    with filled.serving(BANK) as served:
        served.send("Deposit", account="ann", amount=1)
        listing.wait(60)
    assert listing.stderr.read() == ""
    listing.stderr.close()


def test_what_would_command_the_terminal_is_shown_and_not_sent(twofold: CommandLine) -> None:
    """Tags come from whoever sends commands, and a terminal obeys escape sequences."""
    twofold.fill(bank, Deposit(account="\x1b[2Jann", amount=1))
    (line,) = twofold("log", BANK).lines
    assert "\x1b" not in line
    assert r"account:\x1b[2Jann" in line


def test_reading_is_for_files_of_any_name(twofold: CommandLine) -> None:
    """A question mark or a percent sign in a path is part of the name."""
    name = "50% of it?"
    (twofold.folder / name).mkdir()
    twofold.environment["TWOFOLD_LOG"] = "sqlite:///50%25 of it%3F/bank.db"
    with twofold.serving(BANK) as served:
        served.send("Deposit", account="ann", amount=1)
        served.end()
    assert Path(twofold.folder, name, "bank.db").exists()
    assert len(twofold("log", BANK).lines) == 1
