"""``twofold processes``: what is under way, what has led to what, and what each instance waits for."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.seeing_service import Place, sales

SALES = "tests.cli.seeing_service:sales"
BOTH = "tests.cli.seeing_service:both"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases to be copied: order 1 waits for the stock and a payment, 2 was too much, 3 cannot be begun."""
    made = CommandLine(tmp_path_factory.mktemp("waiting"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        made.fill(sales, Place(order="1"), Place(order="2", units=11), Place(order="3", units=-1))
    return made.folder


@pytest.fixture
def waiting(twofold: CommandLine, made: Path) -> CommandLine:
    shutil.copytree(made, twofold.folder, dirs_exist_ok=True)
    return twofold


def test_instances_are_listed_with_what_they_wait_for(waiting: CommandLine) -> None:
    """A command of which the outcome is not known, since when; a timer, until when; nothing if one has ended."""
    (page,) = waiting("processes", "list", SALES, "--json").json
    first, second = page["instances"]
    assert (page["service"], page["next"]) == ("sales", "")
    assert (first["id"], first["process"], first["status"]) == ("Fulfilment/order:1", "Fulfilment", "running")
    assert [each["command"] for each in first["commands"]] == ["Reserve"]
    (timer,) = first["timers"]
    until = datetime.fromisoformat(timer["due_at"]) - datetime.fromisoformat(first["started_at"])
    assert (timer["timer"], until) == ("Unpaid", timedelta(minutes=30))
    assert (second["id"], second["status"]) == ("Fulfilment/order:2", "ended")
    assert (second["commands"], second["timers"]) == ([], [])
    shown = waiting.within("processes", SALES).lines
    assert [line.split()[:3] for line in shown[1:]] == [
        ["sales", "Fulfilment/order:1", "running"], ["sales", "Fulfilment/order:2", "ended"],
    ]  # fmt: skip
    assert "Reserve, Unpaid at " in shown[1]


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        (["--status", "running"], ["1"]),
        (["--status", "ended"], ["2"]),
        (["--process", "Fulfilment"], ["1", "2"]),
        (["--waiting-for", "Reserve"], ["1"]),
        (["--waiting-for", "Unpaid", "--process", "Fulfilment", "--status", "running"], ["1"]),
        (["--waiting-for", "Pack"], []),
    ],
)
def test_a_list_is_narrowed(waiting: CommandLine, narrowed: list[str], found: list[str]) -> None:
    """By process, by status, and by what is waited for."""
    (page,) = waiting.within("processes", "list", SALES, *narrowed, "--json").json
    assert [each["id"] for each in page["instances"]] == [f"Fulfilment/order:{each}" for each in found]


def test_a_long_list_is_read_in_pages(waiting: CommandLine) -> None:
    """Each page ends with what leads to the next one, and the last one does not."""
    first, more = waiting.within("processes", "list", SALES, "--limit", "1").lines[1:]
    assert "order:1" in first
    assert more.startswith("sales has more: --service sales --after ")
    (page,) = waiting.within("processes", "list", SALES, "--limit", "1", "--after", more.split()[-1], "--json").json
    assert [each["id"] for each in page["instances"]] == ["Fulfilment/order:2"]
    assert page["next"] == ""
    assert "not from a page" in waiting.within("processes", "list", SALES, "--after", "x").complaint
    assert "which with --service" in waiting.within("processes", "list", BOTH, "--after", "x").complaint


def test_an_instance_is_shown_with_what_came_in_and_what_went_out(waiting: CommandLine) -> None:
    """In the order of the log: events, outcomes and timers; commands with their outcomes; and what followed from what."""
    details = waiting("processes", "show", SALES, "Fulfilment/order:1", "--json").json
    assert details["state"] == {"key": "1", "status": "packed"}
    assert (details["summary"]["id"], details["error"], details["has_earlier"]) == ("Fulfilment/order:1", "", False)
    history = [
        (each["direction"], each["what"], each["name"], each["outcome"], each["cause"]) for each in details["history"]
    ]
    placed, packed = (
        next(each["position"] for each in details["history"] if each["what"] == what) for what in ("event", "outcome")
    )
    assert history == [
        ("in", "event", "Placed", "", None),
        ("out", "command", "Pack", "accepted", placed),
        ("out", "timer", "Unpaid", "", placed),
        ("in", "outcome", "Pack", "accepted", None),
        ("out", "command", "Reserve", "", packed),
    ]


def test_what_has_ended_says_why(waiting: CommandLine) -> None:
    """A refusal is there with its reason, and what was taken back at the end."""
    lines = waiting.within("processes", "show", SALES, "Fulfilment/order:2").lines
    assert lines[0] == "Fulfilment/order:2 of sales: ended, version 1"
    shown = "\n".join(lines)
    assert "outcome Pack" in shown
    assert "refused: TooMuch" in shown
    assert "cancelled Unpaid" in shown


def test_of_a_long_history_the_last_is_shown(waiting: CommandLine) -> None:
    """No more than the limit, and it is said that there is more."""
    details = waiting.within("processes", "show", SALES, "Fulfilment/order:1", "--limit", "1", "--json").json
    assert [each["name"] for each in details["history"]] == ["Reserve"]
    assert details["has_earlier"]


def test_what_is_not_there_is_said(waiting: CommandLine) -> None:
    """No such instance, one that could not be begun, and no such process."""
    assert "has no instance 'order:1'" in waiting.within("processes", "show", SALES, "order:1").complaint
    complaint = waiting.within("processes", "show", SALES, "Fulfilment/order:3").complaint
    assert "What would have begun it is parked: ValueError: nobody orders less than nothing" in complaint
    complaint = waiting.within("processes", "list", SALES, "--process", "Fulfillment").complaint
    assert "has no process 'Fulfillment'. It has Fulfilment." in complaint
