"""Where the time goes: one trial of Twofold under cProfile, with a table for each of its threads."""

from __future__ import annotations

import cProfile
import pstats
import sys
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure import Effort
from bench.model import Contender, Turns, Workload

_LINES = 30
_CALLS = 10_000
_WARM_UP = 100


def profile(workload: Workload, contender: Contender, effort: Effort) -> None:
    """Print the functions that most time is spent in, first of the event loop's thread and then of the others."""
    profiles: dict[str, cProfile.Profile] = {"main thread": cProfile.Profile()}

    def profile_thread(*_: Any) -> None:
        name = threading.current_thread().name
        own = profiles[f"thread {name} ({threading.get_ident()})"] = cProfile.Profile()
        # From Python 3.12 on one profiler serves all threads, and says so here.
        with suppress(ValueError):
            own.enable()

    with TemporaryDirectory(prefix="twofold-bench-") as folder:
        prepare = contender.trials[workload.name]
        with prepare(Path(folder, "profile"), effort.most(workload)) as trial:
            trial(Turns(_WARM_UP, 1.0))
            threading.setprofile(profile_thread)
            sample = profiles["main thread"].runcall(trial, effort.turns(workload))
            threading.setprofile(None)
    print(f"{workload.title}, {contender.name}: {sample.per_second:,.0f} {workload.unit}/s under the profiler")
    for name, each in profiles.items():
        _print(name, each)


def _print(name: str, profile: cProfile.Profile) -> None:
    """Print a thread's functions, unless it did next to nothing."""
    stats = pstats.Stats(profile, stream=sys.stdout) if profile.getstats() else None
    if stats is not None and stats.total_calls > _CALLS:  # type: ignore[attr-defined]
        print(f"\n{name}")
        stats.strip_dirs().sort_stats("tottime").print_stats(_LINES)
