"""The same seed gives the same trace on every supported version of Python that is there: a report holds elsewhere, too."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
WORLDS = (("examples.bank:bank", 1), ("examples.shop:shop", 1))


def run(*command: str, version: str = THIS) -> subprocess.CompletedProcess[str]:
    """Run a program; what pyenv has put on the PATH only finds a version that is named."""
    environment = {**os.environ, "PYENV_VERSION": version}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@cache
def trace(python: Path, target: str, seed: int) -> str:
    """Return all that happens in a world, as a Python tells it; the exit code is 1 where a rule is broken."""
    found = run(str(python.with_name("twofold")), "simulate", target, "--seed", str(seed), "--trace")
    assert found.returncode in (0, 1), found.stderr
    assert "client 0" in found.stdout, found.stderr
    return found.stdout


@pytest.mark.parametrize("version", [each for each in VERSIONS if each != THIS])
def test_another_python_tells_the_same(version: str, tmp_path: Path) -> None:
    """To the byte, of a service and of a system."""
    python = installed(version, tmp_path / "venv")
    for target, seed in WORLDS:
        there, here = trace(python, target, seed), trace(Path(sys.executable), target, seed)
        assert there == here, f"{target}, seed {seed}"


def installed(version: str, folder: Path) -> Path:
    """Return a Python of this version in an environment with what a simulation needs; skip where there is none."""
    named = shutil.which(f"python{version}")
    if (
        named is None
        or run(named, "--version", version=version).stdout.strip().rpartition(".")[0] != f"Python {version}"
    ):
        pytest.skip(f"No Python {version} that runs is on the PATH.")
    if run(named, "-m", "venv", "--without-pip", str(folder), version=version).returncode:
        pytest.skip(f"Python {version} is there, and makes no environment: it lacks the module venv.")
    python = folder / "bin" / "python"
    done = run(
        sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile", ".[cli,http]"
    )
    if done.returncode:
        pytest.skip(
            f"Python {version} is there, and what Twofold needs cannot be installed for it: {done.stderr[-200:]}"
        )
    return python
