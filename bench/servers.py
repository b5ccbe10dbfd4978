"""The servers of the workloads over HTTP, each started as ``python -m bench.servers NAME PORT LOG VIEWS``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from bench import bank
from bench.profile import SERVER_TOO, profiled
from twofold import Service
from twofold.http import serve

PATH = "/commands/Deposit"
LIVE_PATH = "/queries/BalanceOf"


def bare(log: str, views: str) -> ASGIApp:
    """Return an application that parses the command and does nothing with it."""
    decode = msgspec.json.Decoder(bank.Deposit).decode

    async def deposit(request: Request) -> Response:
        decode(await request.body())
        return Response(b"{}", media_type="application/json")

    return Starlette(routes=[Route(PATH, deposit, methods=["POST"])])


def bare_live(log: str, views: str) -> ASGIApp:
    """Return an application that adds up what it is sent, and tells everybody who listens."""
    decode = msgspec.json.Decoder(bank.Deposit).decode
    total = 0
    listening: list[asyncio.Queue[int]] = []

    async def deposit(request: Request) -> Response:
        nonlocal total
        total += decode(await request.body()).amount
        for queue in listening:
            queue.put_nowait(total)
        return Response(b"{}", media_type="application/json")

    async def events() -> AsyncIterator[bytes]:
        queue: asyncio.Queue[int] = asyncio.Queue()
        queue.put_nowait(total)
        listening.append(queue)
        try:
            while True:
                yield b"data: %d\n\n" % await queue.get()
        finally:
            listening.remove(queue)

    async def listen(request: Request) -> Response:
        return StreamingResponse(events(), media_type="text/event-stream")

    return Starlette(routes=[Route(PATH, deposit, methods=["POST"]), Route(LIVE_PATH, listen)])


def twofold(log: str, views: str) -> Service:
    """Return the bank without its view, with its log and views at the URLs."""
    return _at(log, views, bank.deciding)


def twofold_live(log: str, views: str) -> Service:
    """Return the bank, with its log and views at the URLs."""
    return _at(log, views, bank.bank)


def _at(log: str, views: str, service: Service) -> Service:
    os.environ["TWOFOLD_LOG"] = log
    os.environ["TWOFOLD_VIEWS"] = views
    return service


def main() -> None:
    """Serve what the arguments name, as ``twofold run`` does, until the process is told to end."""
    name, port, log, views = sys.argv[1:]
    servers = {"bare": bare, "twofold": twofold, "bare-live": bare_live, "twofold-live": twofold_live}
    served = servers[name](log, views)
    with profiled(sys.stderr) if SERVER_TOO in os.environ else nullcontext():
        asyncio.run(serve(served, port=int(port)))


if __name__ == "__main__":
    main()
