"""The views' database of a simulation and one in a file answer alike, whatever is done with them."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from tests.simulation.view_histories import Step, answers, histories, simulated
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock
from twofold.followers import Checkpoint
from twofold.views import Write


def compare(kind: type[SqliteViews], history: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(answers(lambda: kind(str(Path(folder) / "views.db"), SystemClock()), history))
    assert found == asyncio.run(answers(simulated(), history))


@settings(max_examples=60)
@given(histories)
def test_simulated_views_answer_as_those_in_a_file(history: list[Step]) -> None:
    """Rows, claims, what is parked and what is rebuilt: every answer and every error, to two who use it at once."""
    compare(SqliteViews, history)


def test_views_that_answer_otherwise_are_found() -> None:
    """A database that leaves parked what was unparked is none, and a history shows it."""

    class Forgetful(SqliteViews):
        async def commit(self, checkpoint: Checkpoint, writes: Sequence[Write] = ()) -> None:
            await super().commit(Checkpoint(checkpoint.claim, checkpoint.position, checkpoint.parked), writes)

    @settings(max_examples=100, phases=[Phase.generate])
    @given(histories)
    def differ(history: list[Step]) -> None:
        compare(Forgetful, history)

    with pytest.raises(AssertionError):
        differ()
