"""``twofold log copy``, ``export`` and ``import``, as processes."""

import asyncio
import gzip
import os
import pty
import sqlite3
import subprocess
from typing import Any

import msgspec
import pytest

from examples.bank import Deposit, Transfer, bank
from tests.cli.conftest import COMMAND, CommandLine
from twofold.service import Settings

BANK = "examples.bank:bank"


@pytest.fixture
def filled(twofold: CommandLine) -> CommandLine:
    """A bank in whose log ann and bob have a deposit each, one of them under an id, and a transfer."""
    twofold.fill(bank, Deposit(account="ann", amount=10))

    async def send() -> None:
        url = f"sqlite:///{twofold.folder}/bank"
        async with bank.run(Settings(log=f"{url}.db", views=f"{url}-views.db")) as running:
            await running.send(Deposit(account="bob", amount=10), id="form-0")
            await running.send(Transfer(source="ann", target="bob", amount=5))

    asyncio.run(send())
    return twofold


def events_of(twofold: CommandLine, url: str) -> list[Any]:
    return [msgspec.json.decode(line) for line in twofold.within("log", url, "--json").lines]


def test_a_copy_says_what_was_moved_and_what_is_equal(filled: CommandLine) -> None:
    """The service is named as everywhere or by its log's URL; a second copy adds nothing, and says so in JSON."""
    heading, row = filled("log", "copy", BANK, "sqlite:///copy.db").lines
    assert heading.split("  ")[0] == "moved now"
    assert row.split()[:4] == ["3", "1", "3", "1"]
    again = filled("log", "copy", "sqlite:///bank.db", "sqlite:///copy.db", "--json").json
    assert again == {"moved": 0, "after": 0, "events": 3, "handled": 1, "digest": row.split()[4]}
    new = filled.within("log", "copy", BANK, "sqlite:///copy.db", "--compare-new", "--json").json
    assert (new["after"], new["events"], new["handled"]) == (3, 0, 0)
    assert events_of(filled, "sqlite:///copy.db") == events_of(filled, BANK)


@pytest.mark.parametrize("file", ["log.jsonl", "log.jsonl.gz"])
def test_an_export_is_what_the_log_shows(filled: CommandLine, file: str) -> None:
    """Its events are lines as `twofold log --json` prints them, the id stands before them, and what is imported is equal."""
    told = filled("log", "export", BANK, file)
    assert told.lines == []
    path = filled.folder / file
    first, only_id, one, two, three, last = (gzip.decompress if file.endswith("gz") else bytes)(
        path.read_bytes()
    ).splitlines()
    assert first == b'{"log_format":1,"events":3}'
    id = msgspec.json.decode(only_id)
    assert (id["handled"], id["first"], id["last"]) == ("form-0", 2, 2)
    assert [each.decode() for each in (one, two, three)] == filled.within("log", BANK, "--json").lines
    digest = msgspec.json.decode(last)["digest"]
    assert told.errors == f"3 events and 1 ids exported, {digest}\n"
    for moved in (3, 0):
        found = filled("log", "import", file, "sqlite:///imported.db", "--json").json
        assert found == {"moved": moved, "after": 0, "events": 3, "handled": 1, "digest": digest}
    assert {each.name for each in filled.folder.glob(f"{file}*")} == {file}


def test_a_log_goes_through_a_pipe(filled: CommandLine) -> None:
    """Without a name, or as -, the file is the standard output or input, with nothing else in it."""
    exported = filled("log", "export", BANK)
    assert exported.output.count("\n") == 6
    assert filled("log", "import", "-", "sqlite:///imported.db", typed=exported.output).code == 0
    assert events_of(filled, "sqlite:///imported.db") == events_of(filled, BANK)
    cut = filled("log", "import", "-", "sqlite:///other.db", typed=exported.output[:300])
    assert cut.complaint.startswith("twofold: standard input, line 3: ")


def test_the_service_goes_on_in_the_new_place(filled: CommandLine) -> None:
    """With its log's URL changed and its views kept, it answers as before, and a command that is sent again is known."""
    with filled.serving(BANK) as served:
        receipt = served.http.post(
            "commands/Deposit", json={"account": "cid", "amount": 7}, headers={"Idempotency-Key": "form-1"}
        ).json()["receipt"]
        # While the service runs, and once more when it has ended.
        assert filled("log", "copy", BANK, "sqlite:///new.db", "--json").json["moved"] == 4
        served.send("Deposit", account="ann", amount=1)
        served.end()
    assert filled("log", "copy", BANK, "sqlite:///new.db", "--compare-new", "--json").json["moved"] == 1
    filled.environment["TWOFOLD_LOG"] = "sqlite:///new.db"
    with filled.serving(BANK) as served:
        again = served.http.post(
            "commands/Deposit", json={"account": "cid", "amount": 7}, headers={"Idempotency-Key": "form-1"}
        )
        assert again.json()["receipt"] == receipt
        assert served.ask("BalanceOf", served.send("Deposit", account="cid", amount=1), account="cid")["amount"] == 8
    # And back again: the old log is the beginning of the new one.
    assert filled("log", "copy", BANK, "sqlite:///bank.db", "--json").json["moved"] == 1


def test_copying_waits_for_no_writer_and_writes_nothing(filled: CommandLine) -> None:
    """A log that another process has locked, or that may only be read, can be copied, and its file stays as it was."""
    path = filled.folder / "bank.db"
    before = path.read_bytes()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert filled("log", "copy", BANK, "sqlite:///copy.db").code == 0
    finally:
        writer.close()
    for file in filled.folder.glob("bank.db*"):
        file.chmod(0o444)
    assert filled("log", "export", BANK, "log.jsonl").code == 0
    assert path.read_bytes() == before


def test_bars_are_for_terminals(filled: CommandLine) -> None:
    """What is copied and compared is shown where somebody sees it; the table goes where it was sent."""
    screen, terminal = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "log", "copy", BANK, "sqlite:///copy.db", "--json"], cwd=filled.folder, env=filled.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal, check=True,
    )  # fmt: skip
    os.close(terminal)
    shown = os.read(screen, 100_000)
    os.close(screen)
    assert b"copying" in shown
    assert b"comparing" in shown
    assert b"3/3" in shown
    assert msgspec.json.decode(done.stdout)["moved"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["copy", BANK, "sqlite:///bank.db"], "'sqlite:///bank.db' is the log itself. Say where the copy is to be."),
        (["copy", BANK, "bank.db"], "'bank.db': it begins with none of memory:, postgresql:, sqlite:,"),
        (["copy", "sqlite:///none.db", "sqlite:///copy.db"], "none.db: there is no such file. A service makes it"),
        (["copy", "bank.db", "sqlite:///copy.db"], "There is no module 'bank'"),
        (["export", "memory:"], "'memory:': what a service has in memory, no other process sees."),
        (
            ["import", "none.jsonl", "sqlite:///copy.db"],
            "none.jsonl: No such file or directory. Check its name, its folder",
        ),
        (["import", "examples.bank:bank", "sqlite:///copy.db"], "examples.bank:bank: No such file or directory."),
    ],
)
def test_what_cannot_be_meant_is_told(filled: CommandLine, arguments: list[str], said: str) -> None:
    """In one line, with what to do; and nothing is made."""
    assert filled.within("log", *arguments).complaint.startswith(f"twofold: {said}")
    assert not (filled.folder / "copy.db").exists()
