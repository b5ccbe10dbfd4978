"""What is said: commands, events and queries, their names and versions, their metadata, and how they become bytes."""

from msgspec import Meta

from twofold.messages.codec import current_fields, decode, decoder, encode, reader, received, upcast
from twofold.messages.identity import identity_text, identity_type, named_type, unmarked
from twofold.messages.keeping import check_kept_whole
from twofold.messages.message import Command, Event, FrozenStruct, Message, MessageType, Query
from twofold.messages.metadata import Metadata, current
from twofold.messages.receipt import Receipt, parse_receipts
from twofold.messages.sameness import content_digest, difference
from twofold.messages.tags import Tag, TagField, tag_fields, tag_of, tagger, type_hints

__all__ = [
    "Command",
    "Event",
    "FrozenStruct",
    "Message",
    "MessageType",
    "Meta",
    "Metadata",
    "Query",
    "Receipt",
    "Tag",
    "TagField",
    "check_kept_whole",
    "content_digest",
    "current",
    "current_fields",
    "decode",
    "decoder",
    "difference",
    "encode",
    "identity_text",
    "identity_type",
    "named_type",
    "parse_receipts",
    "reader",
    "received",
    "tag_fields",
    "tag_of",
    "tagger",
    "type_hints",
    "unmarked",
    "upcast",
]
