"""What is said: commands, events and queries, their names and versions, their metadata, and how they become bytes."""

from msgspec import Meta

from twofold.messages.classes import check_version, service_name_flaw, struct_class
from twofold.messages.codec import current_fields, decode, decoder, encode, plain, reader, received, writer
from twofold.messages.identity import identity_text, identity_type, named_type, unmarked
from twofold.messages.keeping import check_kept_whole
from twofold.messages.keys import Key, Part, key_of, key_parts
from twofold.messages.locations import class_location, source_location
from twofold.messages.message import Command, Event, FrozenStruct, Message, MessageType, Query
from twofold.messages.metadata import Metadata, current
from twofold.messages.receipt import Receipt, parse_receipts
from twofold.messages.sameness import content_digest, difference
from twofold.messages.tags import Tag, TagField, tag_fields, tag_of, tagger, type_hints
from twofold.messages.types import check_fields, type_flaw
from twofold.messages.upcasts import upcast, upcasts

__all__ = [
    "Command",
    "Event",
    "FrozenStruct",
    "Key",
    "Message",
    "MessageType",
    "Meta",
    "Metadata",
    "Part",
    "Query",
    "Receipt",
    "Tag",
    "TagField",
    "check_fields",
    "check_kept_whole",
    "check_version",
    "class_location",
    "content_digest",
    "current",
    "current_fields",
    "decode",
    "decoder",
    "difference",
    "encode",
    "identity_text",
    "identity_type",
    "key_of",
    "key_parts",
    "named_type",
    "parse_receipts",
    "plain",
    "reader",
    "received",
    "service_name_flaw",
    "source_location",
    "struct_class",
    "tag_fields",
    "tag_of",
    "tagger",
    "type_flaw",
    "type_hints",
    "unmarked",
    "upcast",
    "upcasts",
    "writer",
]
