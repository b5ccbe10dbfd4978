"""Commands to other services over HTTP: they are sent, or waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.processes.ordering import both, sales
from twofold.http import asgi
from twofold.http.openapi import openapi
from twofold.service import Settings

TEA = {"item": "tea", "order": "o-1", "units": 1}
MEMORY = Settings(log="memory:", views="memory:")


@asynccontextmanager
async def system() -> AsyncIterator[httpx.AsyncClient]:
    """Run the sales and the stock, and speak to both."""
    async with both.run(dict.fromkeys(both.services, MEMORY)) as running:
        transport = httpx.ASGITransport(app=asgi(running))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http


async def reserve(http: httpx.AsyncClient, path: str, key: str, wait: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} | ({"Prefer": f"wait={wait}"} if wait else {})
    return await http.post(path, json=TEA, headers=headers)


def test_a_command_is_sent_or_waited_for() -> None:
    """Sent, it is on its way; waited for, it has taken effect elsewhere, or is refused as an own one would be."""

    async def scenario() -> None:
        async with system() as http:
            sent = await reserve(http, "/sales/commands/stock.Reserve", "a")
            assert (sent.status_code, sent.headers["Twofold-Receipt"]) == (202, "sales@1")
            refused = await reserve(http, "/sales/commands/stock.Reserve", "a", wait="20")
            assert (refused.status_code, refused.json()["type"]) == (409, "urn:twofold:problem:rejected:OutOfStock")
            assert refused.json()["arguments"] == [0]
            await http.post("/stock/commands/Add", json={"item": "tea", "units": 5})
            assert (await reserve(http, "/sales/commands/stock.Reserve", "a", wait="20")).status_code == 409
            accepted = await reserve(http, "/sales/commands/stock.Reserve", "b", wait="20")
            assert accepted.status_code == 200
            assert accepted.json()["receipt"].startswith("stock@")

    asyncio.run(scenario())


def test_what_is_not_told_in_time_is_said_so() -> None:
    """It may still be decided, and the same request under the same key gives its outcome."""

    async def scenario() -> None:
        elsewhere = sales.run(MEMORY, transport="feed:stock=http://127.0.0.1:9")
        async with (
            elsewhere as running,
            httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi(running)), base_url="http://localhost") as http,
        ):
            late = await reserve(http, "/commands/stock.Reserve", "a", wait="1")
            assert (late.status_code, late.json()["type"]) == (504, "urn:twofold:problem:request-timeout")
            assert "may still be decided" in late.json()["detail"]
            assert late.headers["Retry-After"] == "1"

    asyncio.run(scenario())


def test_the_document_says_what_can_be_sent() -> None:
    """With both ways in which it is answered."""
    found: Any = openapi(sales.declaration)["paths"]["/commands/stock.Reserve"]["post"]
    assert {"200", "202", "504"} <= {*found["responses"]}
    assert found["operationId"] == "sendstock.Reserve"
