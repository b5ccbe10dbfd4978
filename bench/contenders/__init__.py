"""Everything that is measured, each as a `bench.model.Contender`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from bench.contenders import bare, http, log, service
from bench.model import Contender


def contenders() -> tuple[Contender, ...]:
    """Return all contenders, Twofold first."""
    return (
        *service.contenders(),
        log.contender(),
        bare.inserts(),
        bare.folding(),
        *_peer("eventsourcing", "eventsourcing==9.5.*"),
        *_peer("umadb", "umadb"),
        *http.contenders(),
    )


def _peer(package: str, requirement: str) -> tuple[Contender, ...]:
    """Return a peer, or word of its absence, as nobody needs it but for comparison."""
    if find_spec(package) is None:
        return (Contender(package, "", missing=f"not installed: pip install '{requirement}'"),)
    found: tuple[Contender, ...] = import_module(f"bench.contenders.{package}_peer").contenders()
    return found
