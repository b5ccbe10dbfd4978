"""Everything that is measured, each as a `bench.model.Contender`, Twofold first."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from bench.contenders import bare, bare_postgres, http, live, log, service, within
from bench.model import Contender, Home


def on_sqlite(home: Home) -> tuple[Contender, ...]:
    """Return the contenders whose data is in files."""
    return (
        *service.contenders(home),
        log.contender(home),
        bare.inserts(home),
        bare.folding(),
        *_peer(home, "eventsourcing_sqlite", "eventsourcing"),
        *_peer(home, "umadb_peer", "umadb"),
        *http.contenders(home),
        *live.contenders(home),
    )


def on_postgresql(home: Home) -> tuple[Contender, ...]:
    """Return the contenders whose data is in PostgreSQL, and UmaDB."""
    return (
        *service.contenders(home),
        log.contender(home),
        *within.contenders(home),
        bare_postgres.contender(home),
        bare.folding(),
        *_peer(home, "eventsourcing_postgres", "eventsourcing", "psycopg"),
        *_peer(home, "umadb_peer", "umadb"),
        *http.contenders(home),
        *live.contenders(home),
    )


def _peer(home: Home, module: str, *packages: str) -> tuple[Contender, ...]:
    """Return a peer, or word of its absence, as nobody needs it but for comparison."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        return (
            Contender(packages[0], "", missing=f"{' and '.join(missing)} not installed: pip install --group bench"),
        )
    found: tuple[Contender, ...] = import_module(f"bench.contenders.{module}").contenders(home)
    return found
