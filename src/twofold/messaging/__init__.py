"""Telling others: the transport port, the relay that publishes from the log, the inbox that records into it."""

from twofold.messaging.bridging import BridgeHandler
from twofold.messaging.brokers import Broker, BrokerTransport, Content, Incoming
from twofold.messaging.deliveries import Deliveries
from twofold.messaging.inbox import InboxHandler
from twofold.messaging.logs import LogTransport
from twofold.messaging.message import Delivery, Published, published
from twofold.messaging.names import RELAY, carries_events, inbox_name
from twofold.messaging.outbox import Outbox
from twofold.messaging.relay import RelayHandler
from twofold.messaging.resequencing import InOrder, Resequencer
from twofold.messaging.transport import Transport, check_not_replaced
from twofold.messaging.wire import Message, messages, part_of

__all__ = [
    "RELAY",
    "BridgeHandler",
    "Broker",
    "BrokerTransport",
    "Content",
    "Deliveries",
    "Delivery",
    "InOrder",
    "InboxHandler",
    "Incoming",
    "LogTransport",
    "Message",
    "Outbox",
    "Published",
    "RelayHandler",
    "Resequencer",
    "Transport",
    "carries_events",
    "check_not_replaced",
    "inbox_name",
    "messages",
    "part_of",
    "published",
]
