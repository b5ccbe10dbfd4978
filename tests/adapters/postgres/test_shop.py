"""The shop, unchanged, on PostgreSQL: three URLs, and no line of code."""

import os
import subprocess
import sys
from pathlib import Path

from examples.shop.generate import generate

ROOT = Path(__file__).parents[3]


def test_the_shop_says_the_same_on_postgresql_as_on_files(database: str, tmp_path: Path) -> None:
    """Six services with a schema each in one database, loaded and asked as they are on SQLite."""
    generate(tmp_path / "orders.csv", documents=120)
    command = [sys.executable, "-W", "error", "-m", "examples.shop", "--json", "--orders"]
    command.append(str(tmp_path / "orders.csv"))
    urls = dict.fromkeys(("TWOFOLD_LOG", "TWOFOLD_VIEWS"), f"{database}?schema={{service}}")
    answers = [
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, **urls_}, capture_output=True, text=True, check=True
        ).stdout
        for urls_ in ({}, urls)
    ]
    assert answers[0] == answers[1]
    assert '"documents":120' in answers[0]
