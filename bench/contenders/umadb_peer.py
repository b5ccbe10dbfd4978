"""UmaDB: its server from the wheel in a process of its own, and its blocking client, one thread per caller.

A command is what its documentation shows: read the boundary, decide, append on condition. What was read is kept, as the
other contenders keep it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from uuid import uuid4

import msgspec
from umadb import AppendCondition, Client, Event, IntegrityError, Query, QueryItem

from bench import bank
from bench.clients import as_threads, in_processes
from bench.model import Contender, Home, Place, Prepare, Sample, Trial, Turns, fresh
from bench.processes import free_port, server
from twofold.messages import encode, tagger

NAME = f"umadb {version('umadb')}"
_SERVER = "from umadb.umadb_server_cli import main; main()"
_DURABILITY = "disk (fdatasync)"
_REMARKS = (
    "The server from the wheel, in a process of its own; the client blocks, so each caller is a thread. A command reads what "
    "is newer than what it knows of its boundary, decides and appends on condition. The server gathers appends and answers "
    "after two fdatasync a commit. It has no views."
)

_decode = msgspec.json.Decoder(bank.Deposited).decode


def contenders(home: Home) -> tuple[Contender, ...]:
    """Return the server with clients that decide, and with clients that only append."""
    deciding = {
        "sequence": _depositing(clients=1, accounts=1),
        "clients64": _depositing(clients=64, accounts=64),
        "clients1024": _depositing(clients=1024, accounts=1024),
        "processes2": fresh(_depositing_in_processes),
        "hot": _depositing(clients=16, accounts=1),
        "batches": fresh(_batches),
        "loading": _loading,
    }
    appending = {
        "sequence": _appending(clients=1),
        "clients64": _appending(clients=64),
        "clients1024": _appending(clients=1024),
        "processes2": fresh(_appending_in_processes),
    }
    return (
        Contender(NAME, _DURABILITY, _REMARKS, deciding),
        Contender(
            "appends to umadb", _DURABILITY, "Conditional appends to the same server. Nothing is decided.", appending
        ),
    )


@contextmanager
def _server(place: Place) -> Iterator[str]:
    port = free_port()
    file = place.folder / "uma.db"
    with server([sys.executable, "-c", _SERVER, "--listen", f"127.0.0.1:{port}", "--db-path", str(file)], port):
        yield f"http://127.0.0.1:{port}"


class _Accounts:
    """Balances as far as they were read, so that a command reads only what is newer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[int, tuple[int, int]] = {}

    def deposit(self, number: int, turn: int, times: int = 1) -> None:
        """Read, decide and append; again if another client was faster."""
        while True:
            _, head = self.balance(number)
            try:
                self._append(number, turn, times, head)
            except IntegrityError:
                continue
            return

    def balance(self, number: int) -> tuple[int, int]:
        """Return what an account's events come to, and the position up to which that holds."""
        balance, head = self._known.get(number, (0, 0))
        events, newest = self._client.read(_boundary(number), start=head + 1).collect_with_head()
        balance += sum(_decode(each.event.data).amount for each in events)
        known = self._known[number] = (balance, newest or 0)
        return known

    def append(self, number: int, turn: int) -> None:
        """Append on condition that nobody else has, without a look."""
        balance, head = self._known.get(number, (0, 0))
        self._known[number] = (balance, self._append(number, turn, 1, head))

    def _append(self, number: int, turn: int, times: int, head: int) -> int:
        events = [_event(number, turn) for _ in range(times)]
        return self._client.append(events, AppendCondition(_boundary(number), head))


def _boundary(number: int) -> Query:
    return Query([QueryItem(["Deposited"], [f"account:{bank.account_name(number)}"])])


def _event(number: int, turn: int) -> Event:
    event = bank.deposited(bank.account_name(number), 1 + turn % 500, bank.reference(turn))
    return Event("Deposited", encode(event), list(tagger(bank.Deposited)(event)), uuid4())


def _depositing(clients: int, accounts: int) -> Prepare:
    def run(place: Place, turns: Turns) -> Sample:
        with _server(place) as url:
            return _deposit(url, range(clients), accounts, turns)

    return fresh(run)


def _deposit(url: str, clients: range, accounts: int, turns: Turns) -> Sample:
    known = _Accounts(Client(url))
    return as_threads(turns, clients, lambda client, turn: known.deposit(client % accounts, turn))


def _appending(clients: int) -> Prepare:
    def run(place: Place, turns: Turns) -> Sample:
        with _server(place) as url:
            return _append(url, range(clients), turns)

    return fresh(run)


def _append(url: str, clients: range, turns: Turns) -> Sample:
    return as_threads(turns, clients, _Accounts(Client(url)).append)


def _depositing_in_processes(place: Place, turns: Turns) -> Sample:
    with _server(place) as url:
        return in_processes(turns, [partial(_deposit, url, clients, 1024) for clients in bank.HALVES])


def _appending_in_processes(place: Place, turns: Turns) -> Sample:
    with _server(place) as url:
        return in_processes(turns, [partial(_append, url, clients) for clients in bank.HALVES])


def _batches(place: Place, turns: Turns) -> Sample:
    with _server(place) as url:
        accounts = _Accounts(Client(url))
        turns.begin()
        for turn in turns:
            accounts.deposit(turn, turn, times=100)
        return turns.end(100)


@contextmanager
def _loading(home: Home, most: int) -> Iterator[Trial]:
    with home.place() as place, _server(place) as url:
        client = Client(url)
        _Accounts(client).deposit(0, 0, times=bank.LONG)

        def trial(turns: Turns) -> Sample:
            turns.begin()
            for _ in turns:
                _Accounts(client).balance(0)
            return turns.end()

        yield trial
