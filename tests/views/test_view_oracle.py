"""Wherever a view stands, its rows are what its events make: whoever follows, fails, is cancelled or replaced meanwhile."""

import asyncio
from pathlib import Path

import pytest

from tests.support.view_oracle import check_under_fire
from twofold.adapters.sqlite.views import SqliteViews
from twofold.clock import SystemClock


@pytest.mark.parametrize("seed", range(3))
def test_at_each_checkpoint_rows_are_a_fresh_fold(seed: int, tmp_path: Path) -> None:
    """With two owners that are ended now and then, values refused, keys retried, segments cut and merged, and rewinding."""
    asyncio.run(check_under_fire(lambda: SqliteViews(str(tmp_path / "views.db"), SystemClock()), seed))
