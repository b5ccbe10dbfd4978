"""A log in a SQLite file: durable (WAL, ``synchronous=FULL``), shared by as many processes of one machine as wanted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, Self

from msgspec.structs import astuple

from twofold.adapters.sqlite.database import (
    Connection,
    Row,
    check_prepared,
    insert_rows,
    marks,
    placeholders,
    transaction,
    upgrade,
)
from twofold.limits import SqliteLimits
from twofold.log import (
    Append,
    Appended,
    Criteria,
    Criterion,
    NewEvent,
    Outcome,
    ProcessedId,
    RecordedEvent,
    Snapshot,
    StoredPayload,
    TypeCount,
    check_batch,
    check_id,
    check_query,
    lacking,
    not_remembered,
    resolve,
    stored_key,
    tag_rows,
)
from twofold.messages import encode
from twofold.statements import load_statements

_SQL = load_statements("twofold.adapters.sqlite", "log.sql")
_PROBES_PER_STATEMENT = 256
_IDS_PER_STATEMENT = 1024
_SELECTS_PER_UNION = 256
_JOINS_PER_STATEMENT = 8
_EVENT = "position, id, type, version, tags, data, metadata, recorded_at"
_ENTRY = "position, type, version, data"
_SEPARATOR = "\x1f"


class SqliteStore:
    """A log in the file at ``path``, written by one thread and read by another."""

    def __init__(self, path: str, limits: SqliteLimits = SqliteLimits()) -> None:
        self._writing = Connection(path, durable=True, limits=limits)
        self._reading = Connection(path, durable=True, limits=limits)
        self._digest = "digest"

    async def open(self, *, read_only: bool = False) -> None:
        if read_only:
            self._reading.read_only = True
            await self._reading.run(check_prepared)
            self._digest = await self._reading.run(_digest_column)
        else:
            await self._writing.run(lambda connection: upgrade(connection, "twofold.adapters.sqlite", "log_"))

    async def write(
        self, batch: Sequence[Append], recorded_at_us: int, *, meanwhile: Callable[[], object] | None = None
    ) -> list[Outcome]:
        check_batch(batch)
        committing = partial(asyncio.get_running_loop().call_soon_threadsafe, meanwhile) if meanwhile else None
        return await self._writing.run(partial(_write, batch, recorded_at_us, committing))

    async def read(
        self, criteria: Criteria, after: int = 0, limit: int = 1000, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        check_query(criteria, after, limit)
        rows = await self._reading.run(partial(_select, _EVENT, criteria, after, limit, backwards))
        return [RecordedEvent(*row) for row in rows]

    async def history(self, criteria: Criteria, after: int = 0, limit: int = 1000) -> list[StoredPayload]:
        check_query(criteria, after, limit)
        rows = await self._reading.run(partial(_select, _ENTRY, criteria, after, limit, False))
        return [StoredPayload(*row) for row in rows]

    async def head(self) -> int:
        return await self._reading.run(_head)

    async def types(self, most: int) -> list[TypeCount]:
        rows = await self._reading.run(lambda connection: connection.execute(_SQL["types"], (most,)).fetchall())
        return [TypeCount(*row) for row in rows]

    async def processed(self, append_id: str) -> ProcessedId | None:
        check_id(append_id)
        key = stored_key(append_id)
        found = await self._reading.run(lambda connection: _remembered(connection, [key], self._digest))
        return found.get(key)

    async def read_processed(self, since: int, until: int, after: str = "", limit: int = 1000) -> list[ProcessedId]:
        statement = _SQL["read_processed"].format(digest=self._digest)
        rows = await self._reading.run(
            lambda connection: connection.execute(statement, (after, since, until, limit)).fetchall()
        )
        return [ProcessedId(*row) for row in rows]

    async def restore(self, events: Sequence[RecordedEvent], processed: Sequence[ProcessedId]) -> None:
        await self._writing.run(partial(_restore, events, processed))

    async def changed(self, timeout_seconds: float) -> None:
        await asyncio.sleep(timeout_seconds)

    @property
    def snapshots(self) -> Self:
        return self

    async def load_snapshot(self, fold: str, key: str) -> Snapshot | None:
        row = await self._reading.run(
            lambda connection: connection.execute(_SQL["load_snapshot"], (fold, key)).fetchone()
        )
        return Snapshot(*row) if row else None

    async def save_snapshot(self, fold: str, key: str, snapshot: Snapshot) -> None:
        row = (fold, key, snapshot.position, snapshot.data)
        await self._writing.run(lambda connection: connection.execute(_SQL["save_snapshot"], row).close())

    async def close(self) -> None:
        await self._reading.close()
        await self._writing.close()


def _digest_column(connection: sqlite3.Connection) -> str:
    return "digest" if connection.execute(_SQL["has_digests"]).fetchone() == (1,) else "x''"


def _head(connection: sqlite3.Connection) -> int:
    head: int = connection.execute(_SQL["head"]).fetchone()[0]
    return head


def _write(
    batch: Sequence[Append], recorded_at_us: int, committing: Callable[[], Any] | None, connection: sqlite3.Connection
) -> list[Outcome]:
    ids = [append.id for append in batch if append.id]
    with transaction(connection):
        head = _head(connection)
        conflicts = _conflicts(connection, batch, head)
        outcomes, accepted = resolve(batch, head, _processed(connection, ids) if ids else {}, conflicts)
        _insert(connection, accepted, head, recorded_at_us)
        if ids:
            insert_rows(connection, _SQL["insert_processed"], list(_newly_processed(batch, outcomes)))
        if committing:
            # Half of the work is to come, and needs no interpreter: whoever has been waiting for that gets it for as long.
            committing()
    return outcomes


def _newly_processed(batch: Sequence[Append], outcomes: Sequence[Outcome]) -> Iterator[tuple[Any, ...]]:
    for append, outcome in zip(batch, outcomes, strict=True):
        if append.id and isinstance(outcome, Appended) and not outcome.repeated:
            yield stored_key(append.id), outcome.first, outcome.last, append.digest


def _processed(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, ProcessedId]:
    keys = {stored_key(each): each for each in ids}
    return {keys[key]: found for key, found in _remembered(connection, list(keys)).items()}


def _remembered(connection: sqlite3.Connection, keys: Sequence[str], digest: str = "digest") -> dict[str, ProcessedId]:
    found: dict[str, ProcessedId] = {}
    for start in range(0, len(keys), _IDS_PER_STATEMENT):
        some = keys[start : start + _IDS_PER_STATEMENT]
        rows = connection.execute(_SQL["processed"].format(ids=marks(some), digest=digest), some).fetchall()
        found.update({row[0]: ProcessedId(*row) for row in rows})
    return found


def _insert(connection: sqlite3.Connection, events: Sequence[NewEvent], head: int, recorded_at_us: int) -> None:
    rows = []
    tags = []
    for position, event in enumerate(events, head + 1):
        encoded = encode(event.tags)
        rows.append(
            (position, event.id, event.type, event.version, encoded, event.data, event.metadata, recorded_at_us)
        )
        tags.extend([(tag, position, event.type) for tag in dict.fromkeys(event.tags)])
    insert_rows(connection, _SQL["insert_events"], rows)
    insert_rows(connection, _SQL["insert_tags"], tags)


def _restore(events: Sequence[RecordedEvent], processed: Sequence[ProcessedId], connection: sqlite3.Connection) -> None:
    with transaction(connection):
        if events:
            found = connection.execute(_SQL["ids_from"], (events[0].position, len(events))).fetchall()
            new = lacking(events, _head(connection), [event_id for (event_id,) in found])
            insert_rows(connection, _SQL["insert_events"], [astuple(event) for event in new])
            insert_rows(connection, _SQL["insert_tags"], list(tag_rows(new)))
        remembered = _remembered(connection, [each.key for each in processed])
        new_ids = not_remembered(processed, remembered)
        insert_rows(connection, _SQL["insert_processed"], [astuple(each) for each in new_ids])


def _conflicts(connection: sqlite3.Connection, batch: Sequence[Append], head: int) -> dict[int, int]:
    """Return the appends that stored events stand against: one statement for all conditions of one tag, the common kind."""
    found: dict[int, int] = {}
    probes = []
    for place, append in enumerate(batch):
        for condition in append.conditions:
            if condition.behind is not None or condition.after >= head:
                continue
            for criterion in condition.criteria:
                if len(criterion.tags) == 1:
                    probes.append((place, criterion.tags[0], condition.after, _joined(criterion.types)))
                elif newer := _select("position", (criterion,), condition.after, 1, False, connection):
                    found[place] = newer[0][0]
    for start in range(0, len(probes), _PROBES_PER_STATEMENT):
        some = probes[start : start + _PROBES_PER_STATEMENT]
        statement = _SQL["conflicts"].format(rows=placeholders(some))
        found.update(connection.execute(statement, list(chain.from_iterable(some))).fetchall())
    return found


def _joined(types: Sequence[str]) -> str:
    return f"{_SEPARATOR}{_SEPARATOR.join(types)}{_SEPARATOR}" if types else ""


def _select(
    columns: str, criteria: Criteria, after: int, limit: int, backwards: bool, connection: sqlite3.Connection
) -> list[Row]:
    if not criteria:
        return []
    direction = {"beyond": "<", "order": "DESC"} if backwards else {"beyond": ">", "order": "ASC"}
    if backwards and not after:
        after = 1 << 62
    if any(not each.types and not each.tags for each in criteria):
        rows = connection.execute(_SQL["read_all"].format(columns=columns, **direction), (after, limit))
    else:
        arms = [arm for criterion in criteria for arm in _arms(criterion, after, limit, direction)]
        selected = _union([statement for statement, _ in arms])
        values = [value for _, values in arms for value in values]
        statement = _SQL["read_selected"].format(columns=columns, selected=selected, **direction)
        rows = connection.execute(statement, (*values, limit))
    return rows.fetchall()


def _union(selects: Sequence[str]) -> str:
    """Put statements together, in groups if need be: SQLite takes so many by one UNION, and any number of those."""
    groups = [
        " UNION ".join(selects[start : start + _SELECTS_PER_UNION])
        for start in range(0, len(selects), _SELECTS_PER_UNION)
    ]
    return groups[0] if len(groups) == 1 else " UNION ".join(f"SELECT * FROM ({group})" for group in groups)


def _arms(
    criterion: Criterion, after: int, limit: int, direction: dict[str, str]
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the statements, with their values, that together select the positions of one criterion."""
    if not criterion.tags:
        for type_ in criterion.types:
            yield _SQL["select_type"].format(**direction), (type_, after, limit)
        return
    first, *others = dict.fromkeys(criterion.tags)
    few, many = others[:_JOINS_PER_STATEMENT], others[_JOINS_PER_STATEMENT:]
    joins = " ".join(
        f"JOIN tags AS t{n} ON t{n}.tag = ? AND t{n}.position = t0.position" for n in range(1, len(few) + 1)
    )
    further = _SQL["further_tags"].format(tags=marks(many), number=len(many)) if many else ""
    types = f"AND t0.type IN ({marks(criterion.types)})" if criterion.types else ""
    statement = _SQL["select_tags"].format(joins=joins, types=types, further=further, **direction)
    yield statement, (*few, first, after, *criterion.types, *many, limit)
