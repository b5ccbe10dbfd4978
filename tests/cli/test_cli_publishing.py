"""``twofold publish-again``: what it says where there is nothing to publish again."""

from examples.bank import Deposit, bank
from tests.cli.conftest import CommandLine

BANK = "examples.bank:bank"


def test_without_a_broker_there_is_nothing_to_publish_again(twofold: CommandLine) -> None:
    """It says what a service needs for that."""
    twofold.fill(bank, Deposit(account="ann", amount=1))
    assert "bank has published nothing to a broker" in twofold("publish-again", BANK, "--yes").complaint
