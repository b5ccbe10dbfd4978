"""Requests that a machine thinks up from the OpenAPI document, right and wrong ones, to the real server."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.bank import bank
from examples.shop import shop
from tests.http.conftest import use_files
from tests.http.message_shapes import shapes
from tests.support.serving import ROOT, served

EXAMPLES = 20
SEED = 1


def findings(url: str, folder: Path, *options: str) -> str:
    """Return what schemathesis prints of an API, '' if it has nothing to complain of."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", f"--max-examples={EXAMPLES}",
        f"--seed={SEED}", "--checks=all", "--continue-on-failure",
        *options,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.http.each_key_once"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None, done.stdout + done.stderr
    # What finds nothing because it has asked nothing is no proof.
    assert int(generated[1]) > 50, done.stdout
    return "" if done.returncode == 0 else done.stdout


@pytest.mark.parametrize(
    ("service", "path", "options"),
    [
        (bank, "", ()),
        # Two of these paths fail by design.
        (shapes, "", ("--exclude-path=/commands/Break", "--exclude-path=/queries/Trouble")),
        # A receipt of another service may be waited for, and what is thought up never comes. Nor does a page that comes after
        # what is thought up.
        (shop, "/sales", ("--header=Twofold-Receipt: sales@0", "--exclude-path=/queries/Orders")),
        (shop, "/reporting", ("--header=Twofold-Receipt: reporting@0",)),
    ],
    ids=["bank", "shapes", "sales", "reporting"],
)
def test_schemathesis_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Any, path: str, options: tuple[str, ...]
) -> None:
    """No failure of the server, no answer that the document does not describe, nothing wrong taken, nothing right refused."""
    use_files(tmp_path, monkeypatch)
    with served(service) as url:
        # Where there are no news, the feed waits for some.
        assert findings(f"{url}{path}", tmp_path, "--exclude-path=/feed", *options) == ""
        assert httpx.get(f"{url}{path}/health/ready").status_code == 200


def test_schemathesis_finds_nothing_in_the_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limit of its parameters, from both sides."""
    use_files(tmp_path, monkeypatch)
    with served(bank) as url:
        httpx.post(f"{url}/commands/Deposit", json={"account": "ann", "amount": 1}).raise_for_status()
        assert findings(url, tmp_path, "--include-path=/feed", "--phases=coverage") == ""
