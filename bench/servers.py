"""The servers of the HTTP workload, each started as ``python -m bench.servers NAME PORT LOG VIEWS``."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import nullcontext

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bench import bank
from bench.profile import SERVER_TOO, profiled
from twofold import Service
from twofold.http import serve

PATH = "/commands/Deposit"


def bare(log: str, views: str) -> ASGIApp:
    """Return an application that parses the command and does nothing with it."""
    decode = msgspec.json.Decoder(bank.Deposit).decode

    async def deposit(request: Request) -> Response:
        decode(await request.body())
        return Response(b"{}", media_type="application/json")

    return Starlette(routes=[Route(PATH, deposit, methods=["POST"])])


def twofold(log: str, views: str) -> Service:
    """Return the bank, with its log and views at the URLs."""
    os.environ["TWOFOLD_LOG"] = log
    os.environ["TWOFOLD_VIEWS"] = views
    return bank.deciding


def main() -> None:
    """Serve what the arguments name, as ``twofold run`` does, until the process is told to end."""
    name, port, log, views = sys.argv[1:]
    served = {"bare": bare, "twofold": twofold}[name](log, views)
    with profiled(sys.stderr) if SERVER_TOO in os.environ else nullcontext():
        asyncio.run(serve(served, port=int(port)))


if __name__ == "__main__":
    main()
