import asyncio
import signal
import sqlite3
from pathlib import Path

import pytest

from examples.bank import Account, Deposit, bank
from tests.cli.conftest import CommandLine
from tests.cli.shaky_service import UNLUCKY, Throw, shaky
from twofold import Service
from twofold.operations.databases import opened
from twofold.operations.rebuilding import begin_rebuild
from twofold.service import Settings

BANK = "examples.bank:bank"
DEPOSITS = [Deposit(account="ann", amount=1), Deposit(account="ann", amount=2), Deposit(account="bob", amount=3)]


def balance(folder: Path, account: str) -> int:
    """Return what the view has, without starting anything that would fill it."""
    connection = sqlite3.connect(folder / "bank-views.db")
    ((amount,),) = connection.execute("SELECT amount FROM balance_v1 WHERE key = ?", (account,))
    connection.close()
    return int(amount)


def spoil(folder: Path) -> None:
    """Change rows by hand, as only a rebuilding can put right."""
    connection = sqlite3.connect(folder / "bank-views.db")
    with connection:
        connection.execute("UPDATE balance_v1 SET amount = 999")
    connection.close()


def test_followers_are_listed_with_position_head_and_lag(twofold: CommandLine) -> None:
    """A view that has caught up is at the head; the one that follows is named while it does."""
    with twofold.serving(BANK) as served:
        receipt = served.send("Deposit", account="ann", amount=1)
        served.ask("BalanceOf", receipt, account="ann")
        (found,) = twofold("views", BANK, "--json").json
        assert found == {
            "service": "bank", "follower": "balance_v1", "segment": {"low": 0, "high": 1 << 32}, "position": 1, "head": 1,
            "lag": 0, "parked": 0, "followed_by": found["followed_by"], "declared": True,
        }  # fmt: skip
        assert f"/{served.process.pid}@" in found["followed_by"]
        # It follows on, too, when newer code looks at it that has no such view.
        twofold.write("later.py", "from twofold import Service\nbank = Service('bank')\n")
        assert twofold("views", "later:bank").lines[1].endswith(found["followed_by"])
        served.end()
    titles, row = twofold("views", BANK).lines
    assert titles.split() == ["service", "follower", "position", "head", "lag", "parked", "followed", "by"]
    assert row.split() == ["bank", "balance_v1", "1", "1", "0", "0", "nobody"]


def test_list_may_be_said(twofold: CommandLine) -> None:
    """`views` alone is short for `views list`."""
    twofold.fill(bank)
    assert twofold("views", "list", BANK).output == twofold("views", BANK).output
    assert twofold("views", "--json", BANK).json == twofold("views", BANK, "--json").json


def test_a_view_that_was_never_followed_lags_by_the_whole_log(twofold: CommandLine) -> None:
    """What the code declares is listed even before any process has followed it; what it does not, is called that."""
    twofold.fill(Service("bank", aggregates=[Account]), *DEPOSITS)
    (found,) = twofold("views", BANK, "--json").json
    assert (found["position"], found["head"], found["lag"], found["followed_by"]) == (0, 3, 3, "")
    twofold.write("later.py", "from examples.bank import Account\nfrom twofold import Service\n"
                  "bank = Service('bank', aggregates=[Account])\n")  # fmt: skip
    twofold.fill(bank)
    assert "not declared any more" in twofold("views", "later:bank").output
    assert twofold("views", "later:bank", "--json").json[0]["declared"] is False


def test_an_inbox_lags_behind_the_log_that_it_hears(twofold: CommandLine) -> None:
    """In a system, an inbox's head is that of its source; alone, its source's log is not known."""
    with twofold.serving("examples.shop:shop") as shop:
        found = {
            (each["service"], each["follower"]): each for each in twofold("views", "examples.shop:shop", "--json").json
        }
        # Who follows what sales publishes is found at those who do.
        assert ("sales", "relay") not in found
        assert found["stock", "inbox:sales"]["head"] == found["sales", "process:Fulfilment"]["head"]
        shop.end()
    only = twofold("views", "examples.shop:shop", "--service", "stock", "--json").json
    heads = {each["follower"]: each["head"] for each in only}
    assert heads["count_units_v1"] is not None
    assert heads["inbox:sales"] is None
    row = next(line for line in twofold("views", "examples.shop.stock:stock").lines if "inbox:sales" in line)
    assert row.split()[3:5] == ["?", "?"]


def test_looking_makes_no_database(twofold: CommandLine) -> None:
    """In the wrong folder nothing is made, and the file that is missing is named."""
    assert twofold("views", BANK).complaint.startswith("twofold: bank.db: there is no such file.")
    twofold.fill(bank)
    (twofold.folder / "bank-views.db").unlink()
    assert twofold("views", BANK).complaint.startswith("twofold: bank-views.db: there is no such file.")
    assert not (twofold.folder / "bank-views.db").exists()


def test_a_view_is_rebuilt_without_a_running_service(twofold: CommandLine) -> None:
    """The command follows itself until the view has caught up, and puts right what was wrong."""
    twofold.fill(bank, *DEPOSITS)
    spoil(twofold.folder)
    assert balance(twofold.folder, "ann") == 999
    found = twofold("views", "rebuild", BANK, "balance_v1", "--yes")
    assert found.lines == ["balance_v1 has caught up, at position 3."]
    assert found.errors == "balance_v1 is filled again here, as nobody follows it.\n"
    assert (balance(twofold.folder, "ann"), balance(twofold.folder, "bob")) == (3, 3)


def test_a_running_service_rebuilds_a_view_itself(twofold: CommandLine) -> None:
    """It goes on answering, and has the right answer when the command returns."""
    twofold.fill(bank, *DEPOSITS)
    spoil(twofold.folder)
    with twofold.serving(BANK) as served:
        assert served.ask("BalanceOf", account="ann")["amount"] == 999
        found = twofold("views", "rebuild", BANK, "balance_v1", "--yes")
        assert found.lines == ["balance_v1 has caught up, at position 3."]
        assert found.errors == "balance_v1 is filled again by the running bank.\n"
        receipt = served.send("Deposit", account="ann", amount=4)
        assert served.ask("BalanceOf", receipt, account="ann")["amount"] == 7


def test_the_work_of_rebuilding_is_the_running_service_s(twofold: CommandLine) -> None:
    """What its code parks, it parks again; the command only looks on."""
    twofold.fill(shaky, Throw(player="ann", points=UNLUCKY))
    with twofold.serving("tests.cli.shaky_service:shaky") as served:
        found = twofold("views", "rebuild", "tests.cli.shaky_service:shaky", "score_v1", "--yes")
        assert found.errors == "score_v1 is filled again by the running shaky.\n"
        _, logged = served.end()
    assert "score_v1:rebuild parks player:ann from position 1 on: ValueError: 13 is unlucky" in [
        line["message"] for line in logged
    ]


def test_a_service_that_was_killed_is_not_waited_for(twofold: CommandLine) -> None:
    """Its lease is in the way for a moment only; then the command follows itself."""
    with twofold.serving(BANK) as served:
        receipt = served.send("Deposit", account="ann", amount=1)
        served.ask("BalanceOf", receipt, account="ann")
        served.end(signal.SIGKILL)
        assert twofold("views", "rebuild", BANK, "balance_v1", "--yes").lines == [
            "balance_v1 has caught up, at position 1."
        ]


def test_an_empty_view_is_rebuilt_at_once(twofold: CommandLine) -> None:
    """There is nothing to wait for in an empty log."""
    twofold.fill(bank)
    assert twofold("views", "rebuild", BANK, "balance_v1", "--yes").lines == [
        "balance_v1 has caught up, at position 0."
    ]


def test_a_view_can_be_emptied_and_filled_in_place(twofold: CommandLine) -> None:
    """For what cannot be filled twice at once."""
    twofold.fill(bank, *DEPOSITS)
    spoil(twofold.folder)
    found = twofold("views", "rebuild", BANK, "balance_v1", "--in-place", typed="y\n")
    assert found.errors.startswith("Empty balance_v1 of bank and fill it again from the first event? [y/N]")
    assert found.lines == ["balance_v1 has caught up, at position 3."]
    assert balance(twofold.folder, "ann") == 3


def test_a_rebuilding_that_is_under_way_is_shown_joined_and_cancelled(twofold: CommandLine) -> None:
    """It is there for as long as it takes, whoever began it; and where there is none, none is cancelled."""
    twofold.fill(bank, *DEPOSITS)
    spoil(twofold.folder)
    none = "twofold: balance_v1 of bank is not being rebuilt."
    assert twofold("views", "rebuild", BANK, "balance_v1", "--cancel").complaint == none
    for last in (["--cancel"], ["--yes"]):
        begin(twofold.folder)
        found = {each["follower"]: each for each in twofold("views", BANK, "--json").json}
        assert (found["balance_v1"]["position"], found["balance_v1:rebuild"]["position"]) == (3, 0)
        assert found["balance_v1:rebuild"]["declared"]
        assert balance(twofold.folder, "ann") == 999
        ended = twofold("views", "rebuild", BANK, "balance_v1", *last)
        assert ended.code == 0
        assert len(twofold("views", BANK, "--json").json) == 1
    assert ended.errors == "balance_v1 is filled again already.\n"
    assert balance(twofold.folder, "ann") == 3


def begin(folder: Path) -> None:
    """Begin a rebuilding, with nobody there to do it."""

    async def scenario() -> None:
        settings = Settings(log=f"sqlite:///{folder}/bank.db", views=f"sqlite:///{folder}/bank-views.db")
        async with opened(bank.declaration, settings, to_mend=True) as databases:
            assert await begin_rebuild(databases, "balance_v1")

    asyncio.run(scenario())


def test_a_rebuilding_asks_first(twofold: CommandLine) -> None:
    """Without a yes, nothing is touched."""
    twofold.fill(bank, *DEPOSITS)
    spoil(twofold.folder)
    for typed in ("n\n", ""):
        found = twofold("views", "rebuild", BANK, "balance_v1", typed=typed)
        assert found.code == 1
        assert found.output == ""
        assert found.errors.startswith("Fill balance_v1 of bank again from the first event? [y/N]")
    assert balance(twofold.folder, "ann") == 999
    assert twofold("views", "rebuild", BANK, "balance_v1", typed="y\n").code == 0
    assert balance(twofold.folder, "ann") == 3


@pytest.mark.parametrize("follower", ["relay", "inbox:sales"])
def test_relay_and_inbox_are_not_rebuilt(twofold: CommandLine, follower: str) -> None:
    """What they do cannot be undone, and so not be done again."""
    found = twofold("views", "rebuild", "examples.shop.stock:stock", follower, "--yes")
    assert found.complaint == (
        f"twofold: {follower} fills no view: it would publish or record everything once more. The views of stock are filled "
        "by on_shelf_v1, count_units_v1."
    )


def test_a_follower_that_is_not_there_is_told_with_those_that_are(twofold: CommandLine) -> None:
    """A view's class or table leads to the follower that fills it."""
    assert twofold("views", "rebuild", BANK, "balence").complaint == (
        "twofold: bank has no follower 'balence'. The views of bank are filled by balance_v1."
    )
    for name in ("Units", "units_v1"):
        assert twofold("views", "rebuild", "examples.shop.stock:stock", name).complaint == (
            f"twofold: stock has no follower {name!r}. The views of stock are filled by on_shelf_v1, count_units_v1. For "
            f"{name} that is count_units_v1."
        )


def test_rebuilding_makes_no_database(twofold: CommandLine) -> None:
    """In the wrong folder there is nothing to rebuild."""
    assert twofold("views", "rebuild", BANK, "balance_v1", "--yes").complaint.startswith(
        "twofold: bank.db: there is no"
    )
    assert list(twofold.folder.iterdir()) == []
