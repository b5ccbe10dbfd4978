"""UmaDB: its server from the wheel in a process of its own, and its blocking client, one thread per caller.

A command is what its documentation shows: read the boundary, decide, append on condition.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import msgspec
from umadb import AppendCondition, Client, Event, IntegrityError, Query, QueryItem

from bench import bank
from bench.clients import as_threads
from bench.model import Contender, Prepare, Sample, Trial, Turns, fresh
from bench.processes import free_port, server
from twofold.messages import encode, tagger

NAME = f"umadb {version('umadb')}"
_SERVER = "from umadb.umadb_server_cli import main; main()"
_REMARKS = (
    "The server from the wheel, in a process of its own; the client blocks, so each caller is a thread. A command reads its "
    "boundary, decides and appends on condition. The server gathers appends and answers after two fdatasync a commit. It "
    "has no views."
)

_decode = msgspec.json.Decoder(bank.Deposited).decode


def contender() -> Contender:
    """Return the server with its client as a contender; it has no views of its own."""
    trials = {
        "sequence": _depositing(clients=1, accounts=1),
        "clients64": _depositing(clients=64, accounts=64),
        "clients1024": _depositing(clients=1024, accounts=1024),
        "hot": _depositing(clients=16, accounts=1),
        "batches": fresh(_batches),
        "loading": _loading,
    }
    return Contender(NAME, "disk (fdatasync)", _REMARKS, trials)


@contextmanager
def _server(folder: Path) -> Iterator[Client]:
    port = free_port()
    command = [sys.executable, "-c", _SERVER, "--listen", f"127.0.0.1:{port}", "--db-path", str(folder / "uma.db")]
    with server(command, port):
        yield Client(f"http://127.0.0.1:{port}")


def _boundary(number: int) -> Query:
    return Query([QueryItem(["Deposited"], [f"account:{bank.account_name(number)}"])])


def _balance(client: Client, boundary: Query) -> tuple[int, int | None]:
    """Return what an account's events come to, and the position up to which that holds."""
    events, head = client.read(boundary).collect_with_head()
    return sum(_decode(each.event.data).amount for each in events), head


def _event(number: int, turn: int) -> Event:
    event = bank.deposited(bank.account_name(number), 1 + turn % 500, bank.reference(turn))
    return Event("Deposited", encode(event), list(tagger(bank.Deposited)(event)), uuid4())


def _deposit(client: Client, number: int, turn: int, times: int = 1) -> None:
    """Deposit, and again if another client was faster."""
    boundary = _boundary(number)
    while True:
        _, head = _balance(client, boundary)
        try:
            client.append([_event(number, turn) for _ in range(times)], AppendCondition(boundary, head))
        except IntegrityError:
            continue
        return


def _depositing(clients: int, accounts: int) -> Prepare:
    def run(folder: Path, turns: Turns) -> Sample:
        with _server(folder) as client:
            return as_threads(turns, clients, lambda number, turn: _deposit(client, number % accounts, turn))

    return fresh(run)


def _batches(folder: Path, turns: Turns) -> Sample:
    with _server(folder) as client:
        turns.begin()
        for turn in turns:
            _deposit(client, turn, turn, times=100)
        return turns.end(100)


@contextmanager
def _loading(folder: Path, most: int) -> Iterator[Trial]:
    folder.mkdir(parents=True)
    with _server(folder) as client:
        _deposit(client, 0, 0, times=bank.LONG)
        boundary = _boundary(0)

        def trial(turns: Turns) -> Sample:
            turns.begin()
            for _ in turns:
                _balance(client, boundary)
            return turns.end()

        yield trial
