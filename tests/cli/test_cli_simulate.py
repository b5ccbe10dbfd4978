"""``twofold simulate``, as a process: simulated worlds spread over others, until something is broken."""

import msgspec

from tests.cli.conftest import CommandLine

BANK = "examples.bank:bank"

READS_THE_CLOCK = """
import time
from collections.abc import Iterator
from examples.bank import Account, Deposit, Deposited, Service, decide

@decide
def give(command: Deposit, account: Account) -> Iterator[Deposited]:
    yield Deposited(account=command.account, amount=time.monotonic_ns())

bank = Service("bank", decisions=[give])
"""


def test_a_service_that_keeps_its_promises(twofold: CommandLine) -> None:
    """The exit code is 0, and it is said how much was tried."""
    found = twofold("simulate", BANK, "--runs", "3", "--jobs", "2")
    assert found.lines[0] == f"{BANK}: nothing is broken in 3 worlds."
    assert "commands a second" in found.lines[1]
    assert twofold("simulate", BANK, "--runs", "2", "--json").json["commands"] >= 200


def test_no_more_worlds_are_begun_than_there_is_time_for(twofold: CommandLine) -> None:
    """Each process ends the one that it has begun."""
    found = twofold("simulate", BANK, "--seconds", "0.001", "--jobs", "2", "--json")
    assert found.json["runs"] == 2


def test_what_is_broken_is_told_and_ends_the_search(twofold: CommandLine) -> None:
    """The exit code is 1; the first seed that is broken is told, whichever process was quicker."""
    twofold.write("clocked.py", READS_THE_CLOCK)
    found = twofold("simulate", "clocked:bank", "--seed", "7", "--jobs", "2")
    assert (found.code, found.errors) == (1, "")
    assert "Seed 7 " in found.output


def test_what_happens_in_a_world_is_the_same_every_time(twofold: CommandLine) -> None:
    """To the byte, also in a process that hashes texts in another way."""
    traces = set()
    for hashes in ("1", "2"):
        twofold.environment["PYTHONHASHSEED"] = hashes
        traces.add(twofold("simulate", BANK, "--seed", "11", "--trace").output)
    (trace,) = traces
    assert trace.count("\n") > 100


def test_a_process_that_is_gone_is_told(twofold: CommandLine) -> None:
    """With the seed that it looked at, so that this can be looked at alone."""
    dying = READS_THE_CLOCK.replace("import time", "import os").replace("time.monotonic_ns()", "os._exit(9)")
    twofold.write("dying.py", dying)
    assert "seed 3 ended with 9" in twofold("simulate", "dying:bank", "--seed", "3", "--jobs", "1").complaint


def test_programs_get_the_same(twofold: CommandLine) -> None:
    """As JSON, with what was expected and what was found."""
    twofold.write("clocked.py", READS_THE_CLOCK)
    found = twofold("simulate", "clocked:bank", "--jobs", "1", "--json")
    assert found.code == 1
    assert msgspec.json.decode(found.output)["seed"] == 0
