"""``twofold parked`` and ``twofold segments`` for what follows from events: event handlers, processes and commands."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.seeing_service import AWAY, CURSED, UNLUCKY, Place, sales

SALES = "tests.cli.seeing_service:sales"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases to be copied: a mail cannot be sent, another waits for it, one is retried; a process and a command fail."""
    made = CommandLine(tmp_path_factory.mktemp("parked"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        made.fill(
            sales,
            Place(order="4", units=UNLUCKY),
            Place(order="4", units=1),
            Place(order="5", units=AWAY),
            Place(order="6", units=-1),
            Place(order="7", units=CURSED),
        )
    return made.folder


@pytest.fixture
def stuck(twofold: CommandLine, made: Path) -> CommandLine:
    shutil.copytree(made, twofold.folder, dirs_exist_ok=True)
    (twofold.folder / "mails").unlink()
    return twofold


def parked(stuck: CommandLine) -> dict[tuple[str, str], dict[str, Any]]:
    found = stuck.within("parked", "list", SALES, "--json").json
    return {(each["follower"], each["key"]): each for each in found}


def mails(stuck: CommandLine) -> list[str]:
    return (stuck.folder / "mails").read_text().splitlines()


def mend(stuck: CommandLine) -> None:
    stuck.write("mended", "")


def test_what_is_parked_says_when_it_is_tried_again(stuck: CommandLine) -> None:
    """What may pass is tried again by itself, at a time that is shown; what is refused for good waits for somebody."""
    found = parked(stuck)
    assert {key: each["events"] for key, each in found.items()} == {
        ("commands", "order:7"): 1,
        ("handler:welcome", "order:4"): 2,
        ("handler:welcome", "order:5"): 1,
        ("process:Fulfilment", "order:6"): 1,
    }
    away = found["handler:welcome", "order:5"]
    assert away["retry_at"] > away["parked_at"]
    assert [key for key, each in found.items() if each["retry_at"]] == [("handler:welcome", "order:5")]
    shown = stuck.within("parked", "list", SALES).lines
    assert "next attempt" in shown[0]
    due = f"{datetime.fromisoformat(away['retry_at']).astimezone():%H:%M:%S}"
    assert [due in line for line in shown[1:]] == [False, False, True, False]


@pytest.mark.parametrize(
    ("follower", "key"),
    [("handler:welcome", "order:4"), ("process:Fulfilment", "order:6"), ("commands", "order:7")],
)
def test_where_no_service_runs_it_is_handled_here(stuck: CommandLine, follower: str, key: str) -> None:
    """With what a handler works with, opened for it; a cause that is not gone is told, and the exit code says so."""
    again = stuck.within("parked", "retry", SALES, follower, key, "--wait")
    assert again.code == 1
    assert f"{follower} {key}: parked still" in again.output
    if follower != "process:Fulfilment":
        mend(stuck)
        assert stuck.within("parked", "retry", SALES, follower, key, "--wait").lines == ["1 of 1 keys are through."]
        assert (follower, key) not in parked(stuck)


def test_a_running_service_has_the_handler_called(stuck: CommandLine) -> None:
    """Then nothing is opened here: it is that service which was given what the handler works with."""
    with stuck.serving(SALES):
        mend(stuck)
        assert stuck("parked", "retry", SALES, "handler:welcome", "order:4", "--wait").code == 0
    assert [each for each in mails(stuck) if each.startswith("4")] == ["4: 13", "4: 1"]


@pytest.mark.parametrize(
    ("follower", "key", "data"),
    [
        ("handler:welcome", "order:4", '{"order":"4","units":2}'),
        ("process:Fulfilment", "order:6", '{"order":"6","units":2}'),
    ],
)
def test_an_event_is_handled_as_it_was_edited(stuck: CommandLine, follower: str, key: str, data: str) -> None:
    """By the follower that could not handle it, and by no other; the log has who has changed it, and why."""
    position = str(parked(stuck)[follower, key]["position"])
    edited = stuck.within(
        "parked", "edit", SALES, follower, key, "--position", position, "--data", data, "--by", "eve", "--reason", "typo"
    )  # fmt: skip
    assert "parked events again when a service follows it again." in edited.output
    assert stuck.within("parked", "retry", SALES, follower, key, "--wait").code == 0
    told = stuck.within("log", "show", SALES, "--type", "twofold.EventEdited").lines
    assert len(told) == 1
    assert '"by":"eve","reason":"typo"' in told[0]
    if follower == "handler:welcome":
        assert mails(stuck) == ["4: 2", "4: 1"]
    else:
        assert stuck.within("processes", "show", SALES, "Fulfilment/order:6").code == 0
        assert (follower, key) not in parked(stuck)


def test_of_a_command_only_the_data_is_edited(stuck: CommandLine) -> None:
    """It stays the command that was sent, under its id; and its data fits."""
    position = str(parked(stuck)["commands", "order:7"]["position"])
    (shown,) = stuck.within("parked", "show", SALES, "commands", "order:7", "--json").json
    edit = ["parked", "edit", SALES, "commands", "order:7", "--position", position, "--data"]
    assert "only its data can be changed" in stuck.within(*edit, json.dumps(shown["data"] | {"id": "other"})).complaint
    assert "Expected `object`" in stuck.within(*edit, "[]").complaint
    wrong = stuck.within(*edit, json.dumps(shown["data"] | {"data": {"order": "7", "units": "few"}})).complaint
    assert "Pack: Expected `int`" in wrong
    assert stuck.within(*edit, json.dumps(shown["data"] | {"data": {"order": "7", "units": 1}})).code == 0
    assert stuck.within("parked", "retry", SALES, "commands", "order:7", "--wait").code == 0
    assert "Packed" in "\n".join(stuck.within("log", "show", SALES, "--tag", "order:7").lines)


def test_what_was_done_is_not_done_again(stuck: CommandLine) -> None:
    """A rebuilding is refused, of each of them, and it is said why."""
    for follower in ("handler:welcome", "process:Fulfilment", "commands", "timers", "schedules"):
        complaint = stuck.within("views", "rebuild", SALES, follower, "--yes").complaint
        assert f"{follower} fills no view, and what it has done and sent is not done again." in complaint


def test_what_works_is_declared(stuck: CommandLine) -> None:
    """None of them is taken for what earlier code has left behind."""
    found = stuck.within("views", "list", SALES, "--json").json
    assert {each["follower"]: each["declared"] for each in found} == dict.fromkeys(
        ["commands", "handler:welcome", "process:Fulfilment", "schedules", "timers"], True
    )


@pytest.mark.parametrize("follower", ["handler:welcome", "process:Fulfilment", "commands", "timers", "schedules"])
def test_their_keys_are_divided_and_put_together(stuck: CommandLine, follower: str) -> None:
    """Like a view's; those that are behind catch up here, if no service runs."""
    assert stuck.within("segments", "split", SALES, follower).lines == [f"{follower} has 2 segments now."]
    with closing(sqlite3.connect(stuck.folder / "sales-views.db")) as database, database:
        database.execute(
            "UPDATE twofold_segments SET position = position - 2 WHERE follower = ? AND low = 0", (follower,)
        )
    assert stuck.within("segments", "merge", SALES, follower).lines == [f"{follower} has one segment now."]
