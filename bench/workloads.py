"""What is measured, and what was promised about it."""

from __future__ import annotations

from msgspec.structs import replace

from bench.model import Target, Workload

ON_SQLITE = (
    Workload("sequence", "One client in sequence", "commands", 5_000, 1.0),
    Workload(
        "clients64",
        "64 clients on distinct aggregates",
        "commands",
        100_000,
        1.5,
        (
            Target("at least ten times the faster peer", 10, "Twofold", ("eventsourcing", "umadb")),
            Target("at least half of the raw limit", 0.5, "Twofold", ("bare sqlite3",)),
        ),
    ),
    Workload("clients1024", "1,024 clients on distinct aggregates", "commands", 200_000, 1.5),
    Workload(
        "hot",
        "16 clients on one aggregate",
        "commands",
        50_000,
        1.5,
        (Target("at least half of what distinct ones get", 0.5, "Twofold", ("Twofold, 16 aggregates",)),),
    ),
    Workload("batches", "One client in sequence, 100 events at a time", "events", 1_000, 1.0),
    Workload(
        "loading",
        "Loading an aggregate of 1,000 events",
        "loads",
        1_000,
        1.0,
        (Target("at least ten times the peer", 10, "Twofold", ("eventsourcing",)),),
    ),
    Workload(
        "catchup",
        "Catching up a view over 100,000 events of 1,000 accounts",
        "events",
        100_000,
        2.0,
        (Target("at least twenty times the peer", 20, "Twofold", ("eventsourcing",)),),
    ),
    Workload("visible", "Command to visible answer, one client in sequence", "commands", 5_000, 1.0),
    Workload(
        "http",
        "The same command over HTTP, 64 connections",
        "requests",
        50_000,
        2.0,
        (Target("at least half of bare Starlette", 0.5, "Twofold over HTTP", ("bare Starlette",)),),
    ),
    Workload("live", "A change told to 1,000 who watch, over HTTP", "told", 200, 4.0),
)

_PROMISED_ON_POSTGRESQL = {
    "clients64": (Target("at least ten times its recorders", 10, "Twofold", ("eventsourcing",)),),
    "loading": (),
    "http": (),
}

ON_POSTGRESQL = (
    *[replace(each, targets=_PROMISED_ON_POSTGRESQL.get(each.name, each.targets)) for each in ON_SQLITE],
    Workload(
        "processes2",
        "1,024 clients on distinct aggregates, in two processes",
        "commands",
        200_000,
        2.0,
        (
            Target("no fewer than UmaDB", 1, "Twofold", ("umadb",)),
            Target("no fewer appends than UmaDB", 1, "Twofold's log", ("appends to umadb",)),
        ),
    ),
    Workload(
        "within", "64 clients beside an application that appends in its own transactions", "appends", 100_000, 1.5
    ),
)

FLAT = (
    Workload(
        "flat",
        "64 clients append to a log of 100,000 and of 5 million events",
        "appends",
        200_000,
        2.0,
        (Target("no slower than 1.2 times", 1 / 1.2, "the large log", ("the small log",)),),
    ),
)
