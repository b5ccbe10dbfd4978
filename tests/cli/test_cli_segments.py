"""``twofold segments``, on services that run and on those that do not."""

import pytest

from examples.bank import Deposit, bank
from tests.cli.conftest import CommandLine
from tests.cli.shaky_service import projecting

BANK = "examples.bank:bank"
DEPOSITS = [Deposit(account=f"a{n}", amount=n) for n in range(1, 9)]


def test_a_view_is_split_and_merged_while_its_service_runs(twofold: CommandLine) -> None:
    """Its rows are right before, meanwhile and after, and `views` shows each segment."""
    twofold.fill(bank, *DEPOSITS)
    with twofold.serving(BANK) as served:
        assert twofold("segments", "split", BANK, "balance_v1", "--into", "3").lines == [
            "balance_v1 has 3 segments now."
        ]
        receipt = served.send("Deposit", account="a1", amount=10)
        assert served.ask("BalanceOf", receipt, account="a1")["amount"] == 11
        found = twofold("views", BANK, "--json").json
        assert [each["position"] for each in found] == [9, 9, 9]
        assert twofold("segments", "merge", BANK, "balance_v1").lines == ["balance_v1 has one segment now."]
        receipt = served.send("Deposit", account="a1", amount=10)
        assert served.ask("BalanceOf", receipt, account="a1")["amount"] == 21


def test_segments_that_nobody_follows_are_merged_here(twofold: CommandLine) -> None:
    """Nothing has to run for it."""
    twofold.fill(bank, *DEPOSITS)
    assert twofold("segments", "split", BANK, "balance_v1").lines == ["balance_v1 has 2 segments now."]
    assert twofold("segments", "split", BANK, "balance_v1").lines == ["balance_v1 has 4 segments now."]
    assert twofold("segments", "merge", BANK, "balance_v1").lines == ["balance_v1 has one segment now."]
    (found,) = twofold("views", BANK, "--json").json
    assert found["segment"] == {"low": 0, "high": 1 << 32}


@pytest.mark.parametrize(
    ("target", "follower", "why"),
    [
        (BANK, "relay", "what it passes on has one order: they cannot be followed apart. Those of balance_v1 can be."),
        (BANK, "balance", "Nothing in the code of bank follows as balance"),
        ("tests.cli.shaky_service:projecting", "best_v1", "a projection's rows may be anybody's"),
    ],
)
def test_what_has_one_order_is_not_split(twofold: CommandLine, target: str, follower: str, why: str) -> None:
    """It says why, and what can be."""
    twofold.fill(bank)
    twofold.fill(projecting)
    for command in ("split", "merge"):
        assert why in twofold.within("segments", command, target, follower).complaint
