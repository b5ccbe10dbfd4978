"""Selling in one process and hearing of it in another, from outside: over HTTP, and in the files of both."""

import sqlite3
from pathlib import Path

import httpx


def environment(folder: Path, **transport: str) -> dict[str, str]:
    return {
        "TWOFOLD_LOG": f"sqlite:///{folder}/{{service}}.db",
        "TWOFOLD_VIEWS": f"sqlite:///{folder}/{{service}}-views.db",
        **transport,
    }


def demand(url: str, receipt: str) -> int:
    """Return how many sales of tea are known, once those up to the receipt are."""
    headers = {"Twofold-Receipt": receipt, "Prefer": "wait=30"}
    response = httpx.get(f"{url}/queries/DemandFor?item=tea", headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    return int(response.json()["sales"])


def sell(url: str, times: int) -> str:
    """Sell so often, and return the last receipt."""
    with httpx.Client(base_url=url) as http:
        for _ in range(times):
            receipt = http.post("/commands/Sell", json={"item": "tea"}).raise_for_status().headers["Twofold-Receipt"]
    return receipt


def heard(log: Path) -> list[int]:
    """Return the source's positions of what a log has recorded, in its order."""
    connection = sqlite3.connect(log)
    rows = connection.execute(
        "SELECT json_extract(metadata, '$.source_position') FROM events ORDER BY position"
    ).fetchall()
    connection.close()
    return [position for (position,) in rows]
