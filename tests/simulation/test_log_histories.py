"""The log of a simulation and the one on a disk answer alike, whatever is done with them."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from tests.simulation.log_histories import Step, answers, histories, simulated
from twofold.adapters.sqlite import SqliteStore
from twofold.log import Append, Outcome


def compare(kind: type[SqliteStore], history: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(answers(lambda: kind(str(Path(folder) / "log.db")), history))
    assert found == asyncio.run(answers(simulated(), history))


@settings(max_examples=60)
@given(histories)
def test_a_simulated_log_answers_as_one_in_a_file(history: list[Step]) -> None:
    """Every answer and every error, to two who write and read at once: so what a simulation finds, it finds of SQLite too."""
    compare(SqliteStore, history)


def test_a_log_that_answers_otherwise_is_found() -> None:
    """One that leaves out a condition where there are two of an append is no log, and a history shows it."""

    class Forgetful(SqliteStore):
        async def write(self, batch: Sequence[Append], recorded_at_us: int, **options: object) -> list[Outcome]:
            return await super().write(
                [Append(a.events, a.conditions[:1], a.id, a.digest) for a in batch], recorded_at_us
            )

    @settings(max_examples=100, phases=[Phase.generate])
    @given(histories)
    def differ(history: list[Step]) -> None:
        compare(Forgetful, history)

    with pytest.raises(AssertionError):
        differ()
