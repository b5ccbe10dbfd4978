"""Every decision saw exactly the prefix of the log that its guards name, whatever happens around it: the log itself is asked.

Counting effects does not show a decision that was made on a wrong state, so each event here says what its decision saw.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.decision_oracle import (
    COMMANDS,
    IN_MEMORY,
    PROCESSES,
    Saw,
    Told,
    Touched,
    Verdict,
    chained,
    convict,
    hostile_run,
    in_processes,
    judged,
    judged_log,
)
from twofold.adapters.memory import MemoryStore
from twofold.adapters.sqlite import SqliteStore
from twofold.log import LogStore, RecordedEvent
from twofold.messages import Metadata, encode


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_two_processes_decide_on_what_the_log_has(kind: str, tmp_path: Path) -> None:
    """They take turns on one log, while ids are sent again, callers give up, commits fail and states are forgotten."""
    shared = MemoryStore()
    path = str(tmp_path / "log.db")
    commands = IN_MEMORY if kind == "memory" else COMMANDS
    make: Callable[[], LogStore] = lambda: shared if kind == "memory" else SqliteStore(path)  # noqa: E731

    async def scenario() -> Verdict:
        told = await hostile_run([make(), make()], seed=1, commands=commands)
        return await judged_log(make(), told)

    convict(asyncio.run(scenario()), 2 * commands)


def test_processes_on_one_file_decide_on_what_the_log_has(tmp_path: Path) -> None:
    """The same with processes of their own, which see nothing of each other but the file."""
    convict(in_processes(f"sqlite:///{tmp_path}/log.db"), PROCESSES * COMMANDS)


def test_the_oracle_convicts_a_decision_that_saw_something_else() -> None:
    """An oracle that cannot say no says nothing: one event too few, one twice, another order, a command done twice."""
    first, second = touched(1, Saw(0, "")), touched(2, behind_one())
    assert judged([first, second], []) == Verdict(2, [])
    assert len(judged([first, touched(2, Saw(0, ""))], []).wrong) == 1
    assert len(judged([first, touched(2, Saw(2, "x"))], []).wrong) == 1
    assert len(judged([second, first], []).wrong) == 2
    assert len(judged([touched(1, Saw(0, ""), "id"), touched(2, behind_one(), "id")], []).wrong) == 1


def test_the_oracle_convicts_who_told_a_caller_something_else() -> None:
    """A refusal on a state that is over, that never was, or of two that never were at once; two receipts for one command."""
    first, digest = touched(1, Saw(0, "")), behind_one().digest
    assert judged([first], [Told("", 0, refused=["b", ""]), Told("", 1, refused=["b", digest])]).wrong == []
    assert len(judged([first], [Told("", 1, refused=["b", ""])]).wrong) == 1
    assert len(judged([first], [Told("", 0, refused=["b", "never"])]).wrong) == 1
    assert len(judged([first], [Told("", 0, refused=["b", "b", "", digest])]).wrong) == 1
    assert len(judged([first], [Told("id", 0, 1), Told("id", 0, 2)]).wrong) == 1


def touch(saw: Saw) -> Touched:
    return Touched(books=["b"], gates=[], saw=[saw])


def behind_one() -> Saw:
    return Saw(1, chained("", touch(Saw(0, ""))))


def touched(position: int, saw: Saw, command: str = "") -> RecordedEvent:
    metadata = encode(Metadata(command=command or str(position)))
    return RecordedEvent(position, f"event-{position}", "Touched", 1, b'["book:b"]', encode(touch(saw)), metadata, 0)
