"""The servers of the HTTP workload, each started as ``python -m bench.servers NAME PORT FOLDER``."""

from __future__ import annotations

import os
import signal
import sys

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bench import bank
from bench.profile import SERVER_TOO, profiled
from twofold.http import asgi

PATH = "/commands/Deposit"


def bare(folder: str) -> ASGIApp:
    """Return an application that parses the command and does nothing with it."""
    decode = msgspec.json.Decoder(bank.Deposit).decode

    async def deposit(request: Request) -> Response:
        decode(await request.body())
        return Response(b"{}", media_type="application/json")

    return Starlette(routes=[Route(PATH, deposit, methods=["POST"])])


def twofold(folder: str) -> ASGIApp:
    """Return the bank as Twofold serves it, with its log in the folder."""
    os.environ["TWOFOLD_LOG"] = f"sqlite:///{folder}/log.db"
    os.environ["TWOFOLD_VIEWS"] = f"sqlite:///{folder}/views.db"
    return asgi(bank.deciding)


def main() -> None:
    """Serve what the arguments name until the process is told to end."""
    name, port, folder = sys.argv[1:]
    app = {"bare": bare, "twofold": twofold}[name](folder)
    if SERVER_TOO not in os.environ:
        serve(app, int(port))
        return
    # uvicorn ends on the signal and sends it again, which would end the process before it has printed anything.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with profiled(sys.stderr):
        serve(app, int(port))


def serve(app: ASGIApp, port: int) -> None:
    """Run uvicorn."""
    uvicorn.run(app, host="127.0.0.1", port=port, http="httptools", log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
