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
    Entry,
    Handled,
    NewEvent,
    Outcome,
    Recorded,
    Reused,
    TypeCount,
    selects,
)
from twofold.log.recorder import ForeignEvent, RecordableEvent, foreign_event, recordable
from twofold.log.restoring import lacking, not_remembered, tag_rows
from twofold.log.rules import check_batch, check_id, check_query
from twofold.log.settle import settle
from twofold.log.store import Snapshot, Store

__all__ = [
    "ALL",
    "Append",
    "Appended",
    "Batch",
    "Condition",
    "Conflict",
    "Criteria",
    "Criterion",
    "Entry",
    "ForeignEvent",
    "Guard",
    "Handled",
    "Log",
    "NewEvent",
    "Outcome",
    "RecordableEvent",
    "Recorded",
    "Reused",
    "Snapshot",
    "Store",
    "Ticket",
    "TypeCount",
    "check_batch",
    "check_id",
    "check_query",
    "foreign_event",
    "lacking",
    "not_remembered",
    "recordable",
    "selects",
    "settle",
    "stored_key",
    "tag_rows",
]
