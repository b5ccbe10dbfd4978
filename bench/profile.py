"""Where the time goes: one trial of Twofold under cProfile, with a table for each thread that did something."""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from bench.measure import Effort
from bench.model import Contender, Home, Turns, Workload

SERVER_TOO = "TWOFOLD_BENCH_PROFILE"
"""Tells a server in a process of its own to print its profile at its end."""

_LINES = 30
_CALLS = 10_000
_WARM_UP = 100


def profile(workload: Workload, contender: Contender, home: Home, effort: Effort) -> None:
    """Print the functions that most time is spent in; over HTTP, first those of the load client, then the server's."""
    os.environ[SERVER_TOO] = "1"
    prepare = contender.trials[workload.name]
    with prepare(home, effort.most(workload)) as trial:
        trial(Turns(_WARM_UP, 1.0))
        with profiled(sys.stdout):
            sample = trial(effort.turns(workload))
    print(f"{workload.title}, {contender.name}: {sample.per_second:,.0f} {workload.unit}/s under the profiler")


@contextmanager
def profiled(out: TextIO) -> Iterator[None]:
    """Profile a block, with the threads that it starts, and print the tables."""
    profiles: dict[str, cProfile.Profile] = {"main thread": cProfile.Profile()}

    def profile_thread(*_: Any) -> None:
        own = profiles[f"thread {threading.current_thread().name} {len(profiles)}"] = cProfile.Profile()
        # From Python 3.12 on one profiler serves all threads, and says so here.
        with suppress(ValueError):
            own.enable()

    threading.setprofile(profile_thread)
    profiles["main thread"].enable()
    try:
        yield
    finally:
        profiles["main thread"].disable()
        threading.setprofile(None)
        for name, each in profiles.items():
            _print(name, each, out)


def _print(name: str, profile: cProfile.Profile, out: TextIO) -> None:
    """Print a thread's functions, unless it did next to nothing."""
    stats = pstats.Stats(profile, stream=out) if profile.getstats() else None
    if stats is not None and stats.total_calls > _CALLS:  # type: ignore[attr-defined]
        print(f"\n{name}", file=out)
        stats.strip_dirs().sort_stats("tottime").print_stats(_LINES)
