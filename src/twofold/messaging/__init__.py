"""Telling others: the transport port, the relay that publishes from the log, the inbox that records into it."""

from twofold.messaging.inbox import InboxTarget, inbox_name
from twofold.messaging.logs import LogTransport
from twofold.messaging.message import Delivery, Published, published
from twofold.messaging.outbox import Outbox
from twofold.messaging.relay import RelayTarget
from twofold.messaging.transport import Transport, check_not_replaced

__all__ = [
    "Delivery",
    "InboxTarget",
    "LogTransport",
    "Outbox",
    "Published",
    "RelayTarget",
    "Transport",
    "check_not_replaced",
    "inbox_name",
    "published",
]
