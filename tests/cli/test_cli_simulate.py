"""``twofold simulate``, as a process: simulated worlds spread over others, until something is broken."""

import os
import select
import shlex
import signal
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import PATIENCE_SECONDS, CommandLine
from twofold.cli.simulate import command

BANK = "examples.bank:bank"
PLANS = Path(__file__).parents[2] / "examples/simulated/plans.jsonl"

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
    """As JSON, with the seed, the rule, what was expected and found, the history, and the command that repeats it."""
    twofold.write("clocked.py", READS_THE_CLOCK)
    found = twofold("simulate", "clocked:bank", "--jobs", "1", "--seed", "7", "--json")
    assert found.code == 1
    told = msgspec.json.decode(found.output)
    assert (told["broken"], told["found"].startswith("Deposited")) == (7, True)
    assert told["rule"] == "A decision is made on what the log holds before it."
    assert told["history"][0]["what"].startswith("starts")
    again = twofold(*shlex.split(told["again"])[1:])
    assert (again.code, told["rule"] in again.output) == (1, True)
    assert twofold("simulate", BANK, "--plan", "{}", "--json").json["broken"] is None


def test_invariants_of_the_module_are_checked(twofold: CommandLine) -> None:
    """Those that are about the target; nothing has to be registered."""
    found = twofold("simulate", "examples.simulated.closing:bank", "--jobs", "1")
    assert found.code == 1
    assert "The invariant what_is_closed_is_empty holds." in found.output
    assert "An account that is closed has nothing." in found.output


def test_scenarios_of_the_module_are_run(twofold: CommandLine) -> None:
    """Those that are about the target, in every process."""
    found = twofold("simulate", "examples.simulated.theatre:theatre", "--jobs", "2")
    assert found.code == 1
    assert "begins books_a_seat" in found.output


def test_worlds_begin_with_a_recorded_log(twofold: CommandLine) -> None:
    """From an export or where it is; and what is printed to see a failure again has it, too."""
    twofold("log", "import", str(PLANS), "sqlite:///plans.db")
    for place in (str(PLANS), "sqlite:///plans.db", "plans=sqlite:///plans.db"):
        found = twofold("simulate", "examples.simulated.plans:plans", "--start", place, "--json")
        told = msgspec.json.decode(found.output)
        assert (found.code, told["found"], place in told["again"]) == (1, "KeyError('gold')", True)
    assert "plans=postgresql://ann:***@db/plans" in command("plans", ["plans=postgresql://ann:secret@db/plans"])
    again = twofold(*shlex.split(told["again"])[1:])
    assert "KeyError('gold')" in again.output


def test_a_log_that_cannot_be_begun_with_is_told(twofold: CommandLine) -> None:
    """It is not there, or it is not said of which service it is."""
    assert "nothing.jsonl: No such file" in twofold("simulate", BANK, "--start", "nothing.jsonl").complaint
    told = twofold("simulate", "examples.shop:shop", "--start", str(PLANS)).complaint
    assert "is a system. Say of which service a log is: --start sales=…" in told


def test_a_failure_that_does_not_repeat_is_told(twofold: CommandLine) -> None:
    """It depends on something else than the seed, and that is what is wrong."""
    twofold.write("once.py", READS_THE_CLOCK.replace("import time", "import multiprocessing as m, time").replace(
        "time.monotonic_ns()", "time.monotonic_ns() if m.parent_process() else 1"))  # fmt: skip
    assert "in one process, and not in another" in twofold("simulate", "once:bank", "--jobs", "1").errors


GOES_BY_A_SET = """
from collections.abc import Iterator
from typing import Annotated, Self
from twofold import Aggregate, Command, Event, Service, Tag, decide, evolve

BoxId = Annotated[str, Tag("box")]

class Label(Command):
    box: BoxId
    labels: set[str]

class Labelled(Event):
    box: BoxId
    labels: list[str]

class Box(Aggregate, key=BoxId):
    @decide
    def label(self, command: Label) -> Iterator[Labelled]:
        yield Labelled(box=command.box, labels=list(command.labels))

    @evolve
    def labelled(self, event: Labelled) -> Self:
        return self

boxes = Service("boxes", aggregates=[Box])
"""


def test_what_goes_by_the_order_of_a_set_repeats(twofold: CommandLine) -> None:
    """To the byte, though each process would hash texts in another way: all are started with the same hashes."""
    twofold.environment.pop("PYTHONHASHSEED", None)
    twofold.write("labels.py", GOES_BY_A_SET)
    found = twofold("simulate", "labels:boxes", "--jobs", "1", "--json")
    told = msgspec.json.decode(found.output)
    assert (found.code, told["rule"]) == (1, "A decision is made on what the log holds before it.")
    first, second = (twofold(*shlex.split(told["again"])[1:]) for _ in range(2))
    assert (first.code, first.output) == (1, second.output)


def test_what_cannot_be_simulated_is_told(twofold: CommandLine) -> None:
    """A service that hears of one which is not there, a plan that is none, a target that is none."""
    told = twofold("simulate", "examples.shop.stock:stock").complaint
    assert "stock subscribes to sales, which is not simulated" in told
    assert "This is no plan" in twofold("simulate", BANK, "--plan", "{").complaint
    assert "no 'nothing'" in twofold("simulate", "examples.bank:nothing").complaint


def test_an_interrupt_ends_all_at_once(twofold: CommandLine) -> None:
    """With the exit code of one, and no process is left: neither those that look at worlds, nor who tidies up after them."""
    process = twofold.begin("simulate", BANK, "--runs", "100000", "--jobs", "2")
    with Path(f"/proc/{process.pid}/task/{process.pid}/children").open() as children:
        while len(begun := children.read().split()) < 3:
            assert process.poll() is None
            children.seek(0)
    ends = [os.pidfd_open(int(each)) for each in begun]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 130
    for each in ends:
        assert select.select([each], [], [], PATIENCE_SECONDS)[0]
        os.close(each)


INTERRUPTED = """
import itertools, multiprocessing, signal
from collections.abc import Iterator
from examples.bank import Account, Deposit, Deposited, Service, decide
from twofold.simulation import invariant

decisions = itertools.count(1)

@decide
def give(command: Deposit, account: Account) -> Iterator[Deposited]:
    if not multiprocessing.parent_process() and next(decisions) == 30:
        signal.raise_signal(signal.SIGINT)
    yield Deposited(account=command.account, amount=command.amount)

@invariant
def never(account: Account) -> bool:
    return False

bank = Service("bank", decisions=[give])
"""


@pytest.mark.parametrize("arguments", [["--jobs", "1"], ["--trace"]], ids=["while it is made small", "in one world"])
def test_an_interrupt_in_a_world_is_quiet(twofold: CommandLine, arguments: list[str]) -> None:
    """It is nobody's answer: the exit code is that of an interrupt, and of all that is left undone nothing is said."""
    twofold.write("interrupted.py", INTERRUPTED)
    found = twofold("simulate", "interrupted:bank", *arguments)
    assert (found.code, found.output, found.errors) == (130, "", "")
