"""Telling others: the transport port, the relay that publishes from the log, the inbox that records into it."""

from twofold.messaging.inbox import InboxTarget, inbox_name
from twofold.messaging.message import Delivery, Published, published
from twofold.messaging.relay import RelayTarget
from twofold.messaging.transport import Transport

__all__ = ["Delivery", "InboxTarget", "Published", "RelayTarget", "Transport", "inbox_name", "published"]
