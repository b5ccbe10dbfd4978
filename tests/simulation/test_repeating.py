"""The same seed gives the same world, whatever else is different."""

import hashlib
import os
import subprocess
import sys

from examples.bank import bank
from twofold.simulation import simulate_once

SEEDS = range(2)


def digest(seeds: range = SEEDS) -> str:
    """Return a digest of all that happens by some seeds."""
    found = hashlib.sha256()
    for seed in seeds:
        found.update(str(simulate_once(bank, seed).trace).encode())
    return found.hexdigest()


def test_the_same_seed_gives_the_same_trace() -> None:
    """To the byte, also in a process that hashes texts in another way: else a seed would repeat nothing."""
    script = "from tests.simulation.test_repeating import digest; print(digest())"
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        found = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == digest()


def test_another_seed_gives_another_trace() -> None:
    """Or it would find nothing that the first has not found."""
    traces = {str(simulate_once(bank, seed).trace) for seed in SEEDS}
    assert len(traces) == len(SEEDS)
