"""Where it is kept: the log's contract, its conditions and criteria, and the queue in front of every store."""

from twofold.log.commit import Guard, Ticket
from twofold.log.following import Batch
from twofold.log.keys import stored_key
from twofold.log.log import Log
from twofold.log.model import (
    ALL,
    Append,
    Appended,
    Condition,
    Conflict,
    Criteria,
    Criterion,
    NewEvent,
    Outcome,
    ProcessedId,
    RecordedEvent,
    Reused,
    StoredPayload,
    TypeCount,
    selects,
)
from twofold.log.outcomes import resolve
from twofold.log.recorder import ForeignEvent, RecordableEvent, foreign_event, recordable
from twofold.log.restoring import lacking, not_remembered, tag_rows
from twofold.log.rules import check_batch, check_id, check_query
from twofold.log.store import LogStore, Snapshot, SnapshotStore

__all__ = [
    "ALL",
    "Append",
    "Appended",
    "Batch",
    "Condition",
    "Conflict",
    "Criteria",
    "Criterion",
    "ForeignEvent",
    "Guard",
    "Log",
    "LogStore",
    "NewEvent",
    "Outcome",
    "ProcessedId",
    "RecordableEvent",
    "RecordedEvent",
    "Reused",
    "Snapshot",
    "SnapshotStore",
    "StoredPayload",
    "Ticket",
    "TypeCount",
    "check_batch",
    "check_id",
    "check_query",
    "foreign_event",
    "lacking",
    "not_remembered",
    "recordable",
    "resolve",
    "selects",
    "stored_key",
    "tag_rows",
]
