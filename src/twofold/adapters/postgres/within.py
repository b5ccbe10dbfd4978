"""Appending within a transaction of the application's own, so that its rows and the log's events commit together."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import asyncpg

from twofold.adapters.postgres.address import quoted
from twofold.adapters.postgres.batch import batch_arguments, outcomes_of
from twofold.adapters.postgres.database import Connection
from twofold.clock import Clock, SystemClock
from twofold.errors import LogError, LogUnavailable
from twofold.log import Append, Condition, NewEvent, Outcome, recordable
from twofold.messages import Event, Metadata, current, encode
from twofold.statements import load_statements

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

_APPEND = load_statements("twofold.adapters.postgres", "log.sql")["append"]


async def append_within(
    transaction: Connection | AsyncConnection | AsyncSession,
    events: Sequence[Event],
    *conditions: Condition,
    id: str = "",
    schema: str = "twofold",
    metadata: Metadata | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Append events to the log in ``schema`` as part of a transaction that is open, on the same database.

    They are in the log when the transaction commits, and never were if it does not. From this call to the end of the
    transaction nobody else can append, so make it the last thing before the commit: it then costs the others what a batch
    of their own costs. A transaction that goes on for a second after it stops the log for a second. ::

        async with connection.transaction():
            await connection.execute("INSERT INTO orders (id, total) VALUES ($1, $2)", order.id, order.total)
            await append_within(connection, [OrderPlaced(order=order.id)], schema="orders")

    With SQLAlchemy: ``async with session.begin(): session.add(order); await append_within(session, [...])``.

    Args:
        transaction: an asyncpg connection, or SQLAlchemy's ``AsyncSession`` or ``AsyncConnection`` over asyncpg.
        events: what has happened; their tags come from their fields, as everywhere.
        conditions: nothing is appended, and a `twofold.log.Conflict` returned, if one of them does not hold.
        id: makes it idempotent: a second append with this id adds nothing and returns where the first one's events are.
        schema: the log's, as in its URL.
        metadata: the circumstances; those of the message that is being handled, if it is not given.
        clock: for the events' time and ids.

    Raises:
        UnrecordableEvent: the log could not give an event back as it is; nothing was sent to the server.
        LogError: there is no transaction to be part of.
        LogUnavailable: there is no log in the schema. The transaction has failed then, as with any error from the server,
            which comes as the driver's own exception.
    """
    clock = clock or SystemClock()
    connection = await _driver(transaction)
    if not connection.is_in_transaction():
        raise LogError(
            "append_within needs an open transaction: begin one, as in `async with connection.transaction():`."
        )
    circumstances = encode(metadata or current.get())
    recorded = [recordable(event, clock.new_id(), circumstances).new for event in events]
    append = Append(tuple(recorded), conditions, id, _digest(recorded) if id else b"")
    return await _append(connection, append, schema, clock.now_us())


async def _append(connection: Connection, append: Append, schema: str, now_us: int) -> Outcome:
    try:
        arguments = (None, 0, 0, now_us, *batch_arguments([append]))
        row: Any = await connection.fetchrow(_APPEND.format(schema=quoted(schema)), *arguments)
    except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError) as error:
        raise LogUnavailable(
            f"The schema {schema} has no log: {error}. Start the service whose log it is once, or name its schema."
        ) from error
    return outcomes_of([append], row)[0]


async def _driver(transaction: Any) -> Connection:
    """Return the driver's connection, which SQLAlchemy's stand on; what its session still holds back is written first."""
    connection = transaction
    if hasattr(transaction, "flush"):
        await transaction.flush()
        connection = await transaction.connection()
    if hasattr(connection, "get_raw_connection"):
        # SQLAlchemy begins with its first statement, and the append must be within.
        await connection.exec_driver_sql("SELECT 1")
        connection = (await connection.get_raw_connection()).driver_connection
    driver: Connection = connection
    return driver


def _digest(events: Sequence[NewEvent]) -> bytes:
    """Return what the content of an append comes to: other events under the same id are not taken for these."""
    return blake2b(encode([(event.type, event.version, event.data) for event in events]), digest_size=16).digest()
