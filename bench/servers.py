"""The servers of the HTTP workload, each started as ``python -m bench.servers NAME PORT FOLDER``."""

from __future__ import annotations

import sys

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bench import bank

PATH = "/commands/Deposit"


def bare(folder: str) -> ASGIApp:
    """Return an application that parses the command and does nothing with it."""
    decode = msgspec.json.Decoder(bank.Deposit).decode

    async def deposit(request: Request) -> Response:
        decode(await request.body())
        return Response(b"{}", media_type="application/json")

    return Starlette(routes=[Route(PATH, deposit, methods=["POST"])])


if __name__ == "__main__":
    name, port, folder = sys.argv[1:]
    app = {"bare": bare}[name](folder)
    uvicorn.run(app, host="127.0.0.1", port=int(port), http="httptools", log_level="warning", access_log=False)
