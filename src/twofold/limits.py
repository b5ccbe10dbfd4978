"""Limits: how long anything waits, how much of anything is kept, and how often anything is tried, as one typed value.

What is here may have another value on another machine, network or load, and nothing is wrong with either. What is not, is a
fact of a format, a protocol or an algorithm, and stands as a constant beside it (docs/decisions/0018-what-may-be-set.md).

Each field has its unit last in its name, and a variable of its own in the environment. The values here are the defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo, fields

from twofold.errors import SettingsError
from twofold.urls import without_passwords

Seconds = Annotated[float, Meta(ge=0.001, le=86_400)]
WholeSeconds = Annotated[int, Meta(ge=1, le=86_400)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Bytes = Annotated[int, Meta(ge=1, le=10**12)]

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,19}(\.[0-9]{1,19})?", re.ASCII)
_LONGEST_SHOWN = 100


def _is_within(value: Any, field: FieldInfo) -> bool:
    kind, bounds = get_args(field.type)
    return type(value) in (int, kind) and bounds.ge <= value <= bounds.le


def _expected(field: FieldInfo) -> str:
    kind, bounds = get_args(field.type)
    return f"a {'whole ' if kind is int else ''}number from {bounds.ge} to {bounds.le}"


def _variables_of(group: str) -> Callable[[str], str]:
    return lambda field: f"TWOFOLD_{group}_{field.upper()}"


class _Group(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What limits one thing. The name under which a field is encoded is that of its variable."""

    def __post_init__(self) -> None:
        """Check each field.

        Raises:
            SettingsError: one is not what it may be; the text names it.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if not _is_within(value, field):
                raise SettingsError(f"{type(self).__name__}({field.name}={value!r}): it has to be {_expected(field)}.")


class LogLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("LOG")):
    """Appending to the log, following it and closing it, whatever database it is in."""

    commit_events: Count = 4096
    """How many events share a commit. Fewer: more commits; more: a lone append waits longer behind many."""
    commit_bytes: Bytes = 4 << 20
    """How many bytes share a commit; an append that is larger has one for itself. Fewer: more commits; more: longer ones."""
    poll_seconds: Seconds = 0.05
    """How often a follower looks for what other processes append, where the database does not tell. Longer: views of others'
    events are later by that; shorter: more queries for nothing."""
    closing_seconds: Seconds = 4.0
    """How long closing waits for appends that are queued. Shorter: more of them fail; longer: a database that hangs holds up
    the end."""
    releasing_seconds: Seconds = 1.0
    """How long closing waits then for the store to let go of its connections. Shorter: they are cut off, and end with the
    process; longer: a database that hangs holds up the end."""


class CommandLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("COMMANDS")):
    """Deciding on commands."""

    attempts: Count = 64
    """How often a command is decided, while other processes keep changing what it decides on, before it is `TooManyConflicts`.
    Fewer: it fails under less contention; more: its caller waits longer for the same end."""
    cached_states: Count = 10_000
    """How many states are kept in memory. Fewer: more of them are read from the log again; more: memory, of each what its
    aggregate holds."""
    page_events: Count = 2000
    """How many events are read at once to fold a state. Fewer: more queries for a long history; more: memory meanwhile."""


class FollowerLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("FOLLOWERS")):
    """Following the log into views and to other services. In all processes of a service these are the same."""

    lease_seconds: Annotated[float, Meta(ge=0.5, le=3600)] = 3.0
    """How long a claim on a segment holds; it is renewed six times as often. Shorter: a process that was only slow loses what
    it follows; longer: what a killed process followed stands still for so long. All processes of a service have the same, or
    those with the shorter one take from the others."""
    attempts: Count = 4
    """How often an event is handled that fails, before its key is parked. Fewer: a failure that passes parks keys; more: the
    other keys wait longer behind it."""
    longest_pause_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    """How long to wait at the most before something that failed is followed again. Longer: views go on later after an outage;
    shorter: more attempts during one."""
    batch_events: Count = 2000
    """How many events a view takes in by one transaction. Fewer: filling a view takes longer; more: memory, and longer
    transactions."""
    cached_rows: Count = 50_000
    """How many of a view's rows stay in memory for the next batch. Fewer: more reading; more: memory, for each segment."""


class HandlerLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("HANDLERS")):
    """Event handlers, processes and commands that are carried out: what follows from events outside of views."""

    concurrent_keys: Count = 64
    """How many keys are worked for at the same time, by each follower. Fewer: all of it takes longer; more: load of what is
    called."""
    batch_events: Count = 512
    """How many events share a checkpoint. Fewer: more writes; more: after a kill more of them are handled again."""
    outage_keys: Annotated[int, Meta(ge=2, le=1_000_000)] = 5
    """How many keys have to fail in a row until that is an outage. Fewer: a few bad events slow down all others; more: more
    attempts are made, and counted, while what is called is down."""
    longest_probe_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 15.0
    """How long to wait at the most between two probes in an outage. Longer: work goes on later when it is over; shorter: more
    calls for nothing."""
    slow_seconds: Seconds = 1.0
    """How long a batch waits for event handlers that take long; then it goes on without them, and what they have to do waits
    as rows. Shorter: more rows are written; longer: what comes next waits longer."""
    finishing_seconds: Seconds = 2.0
    """How long what is under way may take to come to its end when the process ends. Shorter: more of it is done again by
    whoever follows next; longer: the end is later."""


class QueryLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("QUERIES")):
    """Asking: waiting for what a receipt stands for, and caching answers."""

    patience_seconds: Seconds = 5.0
    """How long a query waits for its receipts, or for a view that is being filled, if it does not say. Shorter: more of them
    fail after a burst; longer: callers wait longer to learn that a view stands still."""
    poll_seconds: Seconds = 0.02
    """How often it is looked how far a view is that another process follows, while somebody waits for it. Longer: answers
    after a receipt are later; shorter: more queries."""
    look_seconds: Seconds = 0.05
    """How often it is looked whether such views have changed, while somebody watches a live query. Longer: updates are later;
    shorter: more queries."""
    cached_answers: Count = 1000
    """How many answers are cached that took long to find. Fewer: more of them are found again; more: memory."""
    cached_bytes: Bytes = 16 << 20
    """How many bytes of such answers are cached, of one no more than a sixteenth. Fewer: large ones are found again; more:
    memory."""
    worthwhile_ratio: Annotated[float, Meta(ge=0, le=1_000_000)] = 10.0
    """An answer is cached if finding it takes so many times as long as looking whether it still holds, which is one reading of
    the database, too. Smaller: memory for answers that are found as fast; larger: slow ones are found again."""


class LiveLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("LIVE")):
    """Live queries."""

    concurrent_answers: Count = 8
    """How many live queries are answered at the same time. Fewer: updates are later where many are watched; more: load of the
    database."""
    kept_updates: Count = 64
    """How many updates of a query are kept for subscribers that are slow. Fewer: these skip more; more: memory."""
    kept_bytes: Bytes = 1 << 20
    """How many bytes of updates of a query are kept, besides the newest. Fewer: who is slow skips more; more: memory."""


class ServiceLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("SERVICE")):
    """Closing a service, or a system of them."""

    draining_seconds: Seconds = 3.0
    """How long closing waits for commands that are under way. Shorter: their callers do not learn what became of them; longer:
    the end is later."""
    closing_seconds: Seconds = 5.0
    """How long closing takes in all, logs, views and transports together; what does not let go is left to end with the
    process. At least what comes before it: draining, and closing the log."""


class HttpLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("HTTP")):
    """Requests and responses. What is more than a limit is a problem document that says so."""

    max_body_bytes: Bytes = msgspec.field(default=1 << 20, name="TWOFOLD_MAX_BODY_BYTES")
    """How large the body of a request may be. Smaller: large commands are refused; larger: so may memory
    be, for any client."""
    body_seconds: Seconds = 20.0
    """How long a body may take to arrive, besides the time that its size is given. Shorter: clients on bad lines are refused;
    longer: whoever sends nothing holds a connection."""
    body_bytes_per_second: Bytes = 16 << 10
    """How fast the largest body has to arrive, which is given so much more time. Faster: clients on bad lines are refused;
    slower: whoever sends little holds a connection."""
    max_headers: Count = 100
    """How many headers a request may have. Fewer: requests through many proxies are refused; more: work before any
    is known."""
    max_header_bytes: Bytes = 32 << 10
    """How many bytes its headers may have together. Fewer: requests with large cookies or tokens are refused;
    more: memory for whoever connects."""
    max_url_bytes: Bytes = 8 << 10
    """How many bytes its path may have, and its query string. Fewer: large queries have to be asked by POST; more: memory for
    whoever connects."""
    head_seconds: WholeSeconds = 20
    """How long a request's head may take to arrive, up to twice that. Shorter: clients on bad lines are cut off; longer:
    whoever sends nothing holds a connection."""
    keep_alive_seconds: WholeSeconds = 30
    """How long a connection is kept that nothing comes by. It has to be longer than that of a proxy before it, or the proxy
    sends requests by a connection that is just closed."""
    heartbeat_seconds: Seconds = 20.0
    """How often a stream without news says that it is there. It has to be shorter than what proxies wait for; longer: it is
    found out later who is gone."""
    health_seconds: Seconds = 3.0
    """How long readiness waits for a database. It has to be shorter than what the probe waits for; shorter: a
    database that is only slow counts as failing."""
    drain_seconds: WholeSeconds = 3
    """How long requests may take that are under way after SIGTERM. Shorter: more of them are cut off; longer: so is the end.
    With the next, it has to be less than what is waited for before the process is killed."""
    ending_seconds: Seconds = 1.5
    """How long closing the databases may take after that under `twofold run`. Shorter: connections are cut off; longer: a
    database that hangs holds up the end of the process."""


class SqliteLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("SQLITE")):
    """Logs and views in SQLite files."""

    busy_seconds: Seconds = 10.0
    """How long to wait for a file's lock while another process has it. Shorter: appends fail while a backup holds it; longer:
    their callers wait longer to learn that."""
    cache_bytes: Annotated[int, Meta(ge=1024, le=1 << 40)] = 16 << 20
    """How many bytes of a file each connection keeps in memory; a log has two connections, views have three. Fewer: more
    reading of large files; more: memory."""


class PostgresqlLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("POSTGRESQL")):
    """Logs and views in PostgreSQL databases."""

    patience_seconds: Seconds = 30.0
    """How long a call is tried again while the database is away. Shorter than a failover takes: calls fail during one; longer:
    their callers wait longer to learn that it is away."""
    call_seconds: Seconds = 10.0
    """How long a try may take. The server gives up a statement after eight tenths of it, and waiting for a lock after half.
    Shorter: what a busy database would have done is given up; longer: a dead connection is noticed later."""
    connect_seconds: Seconds = 5.0
    """How long opening a connection may take. Shorter: far or busy servers cannot be reached; longer: the next host of the URL
    is tried later."""
    read_connections: Count = 6
    """How many connections a process has for reading, in each database. Fewer: queries wait for each other; more: connections
    of the server, from all processes together."""
    query_connections: Count = 6
    """How many connections `views.find` and `views.select` have besides. Fewer: they wait for each other; more: as above."""


class FeedLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("FEED")):
    """Following other services over HTTP. The bounds are what the feed of any service takes."""

    wait_seconds: Annotated[int, Meta(ge=1, le=30)] = 20
    """How long a feed is asked to wait for something to come. It has to be shorter than what proxies wait for; shorter: more
    requests for nothing."""
    page_events: Annotated[int, Meta(ge=1, le=1000)] = 1000
    """How many events are asked for at once. Fewer: more requests; more: memory of both sides."""
    longest_pause_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    """How long to wait at the most before a service that is away is asked again. Longer: it is heard of later when it is back;
    shorter: more requests meanwhile."""


class BrokerLimits(_Group, frozen=True, kw_only=True, rename=_variables_of("BROKER")):
    """Messages of a broker, whichever it is."""

    batch_events: Annotated[int, Meta(ge=1, le=10_000)] = 500
    """How many events are handed on, and settled, at once. Fewer: more commits; more: memory, and more comes again after a
    crash."""
    answer_seconds: Annotated[float, Meta(ge=1, le=600)] = 30.0
    """How long the broker may take to confirm or to answer. Longer: it is told later that it is away; shorter: one that is
    slow counts as away."""
    missing_seconds: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    """How long what came too early waits for what belongs before it, until that is told as missing and all is read again.
    Shorter: what is only late is told as missing; longer: what is missing is told later."""
    early_events: Annotated[int, Meta(ge=100, le=10_000_000)] = 100_000
    """How many events may wait for what belongs before them. Fewer: a partition that is behind holds up the others; more:
    memory."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """All limits of a process.

    >>> Limits(followers=FollowerLimits(lease_seconds=10)).followers.lease_seconds
    10
    >>> FollowerLimits(lease_seconds=0)
    Traceback (most recent call last):
    twofold.errors.SettingsError: FollowerLimits(lease_seconds=0): it has to be a number from 0.5 to 3600.
    """

    log: LogLimits = LogLimits()
    commands: CommandLimits = CommandLimits()
    followers: FollowerLimits = FollowerLimits()
    handlers: HandlerLimits = HandlerLimits()
    queries: QueryLimits = QueryLimits()
    live: LiveLimits = LiveLimits()
    service: ServiceLimits = ServiceLimits()
    http: HttpLimits = HttpLimits()
    sqlite: SqliteLimits = SqliteLimits()
    postgresql: PostgresqlLimits = PostgresqlLimits()
    feed: FeedLimits = FeedLimits()
    broker: BrokerLimits = BrokerLimits()

    def __post_init__(self) -> None:
        """Check that each group is in its own place.

        Raises:
            SettingsError: one is something else; the text shows how it is written.
        """
        for field in fields(self):
            group = getattr(self, field.name)
            if not isinstance(group, field.type):
                kind = field.type.__name__
                raise SettingsError(f"Limits({field.name}={group!r}): write Limits({field.name}={kind}(…)).")


def read_limits(environment: Mapping[str, str] = os.environ) -> Limits:
    """Read the limits of a process: what is not set has its default.

    >>> read_limits({"TWOFOLD_FOLLOWERS_LEASE_SECONDS": "10"}).followers.lease_seconds
    10.0

    Raises:
        SettingsError: a value is not a number, or not one that is allowed; the text names the variable and shows a valid one.
    """
    groups: dict[str, Any] = {}
    for name, group in _groups().items():
        if given := _given(group, environment):
            groups[name] = group(**given)
    return Limits(**groups)


def variables() -> list[str]:
    """Return the names of all variables by which limits are set."""
    return [field.encode_name for group in _groups().values() for field in fields(group)]


def _groups() -> dict[str, type[_Group]]:
    return {field.name: field.type for field in fields(Limits)}


def _given(group: type[_Group], environment: Mapping[str, str]) -> dict[str, float]:
    given = [field for field in fields(group) if field.encode_name in environment]
    return {field.name: _number(environment[field.encode_name], field) for field in given}


def _number(text: str, field: FieldInfo) -> float:
    kind = get_args(field.type)[0]
    number: float = kind(text) if (_NUMBER if kind is int else _DECIMAL).fullmatch(text) else -1
    if not _is_within(number, field):
        raise SettingsError(
            f"{field.encode_name}={without_passwords(text[:_LONGEST_SHOWN])!r}: it has to be {_expected(field)}. For example "
            f"{field.encode_name}={field.default}"
        )
    return number
