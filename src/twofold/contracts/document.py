"""AsyncAPI 3.0 from declarations: what services publish and accept, and what their logs have.

Source: the AsyncAPI specification 3.0.0. Channels are what services have for each other, named as brokers name it, and
commands over HTTP. An operation is what one service does there. What is behind an ``x-`` is ours: the version of an event, the
fields that are its tags, the rejections of a command, and which events are in the log of a service.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec

from twofold.contracts.headers import CLOUD_EVENT, headers, key_schema
from twofold.contracts.rejections import rejections
from twofold.contracts.schemas import read, written
from twofold.declaration import Declaration, known_events
from twofold.errors import InvalidMessage, Rejected
from twofold.messages import Event, Message, tag_fields
from twofold.messaging.wire import CONTENT_TYPE, POSITION_TYPE
from twofold.processes.records import CommandSent, CommandSettled

Json: TypeAlias = dict[str, Any]

STORED: Final = "x-stored-events"
VERSION: Final = "x-version"
TAGS: Final = "x-tags"
REJECTIONS: Final = "x-rejections"

_RECORDS: Final = "twofold.records."
_DESCRIPTION: Final = (
    "Written by `twofold contracts`. Events and commands between services are messages of a broker: `<service>.events` has "
    "all that a service has for others, in the order of its log for each key. Readers take the fields that they need, and "
    "ignore others. An event that was written before its type had its version comes as it was written. Messages of the type "
    f"`{POSITION_TYPE}` have no event: they say how far their source has told everything."
)


def contract(declarations: Iterable[Declaration]) -> Json:
    """Return the AsyncAPI document of one service, or of several that know each other.

    >>> from examples.shop import shop
    >>> document = contract([shop.services["stock"].declaration])
    >>> [*document["channels"]], [*document["channels"]["stock.events"]["messages"]][:2]
    (['stock.events', 'stock.commands', 'sales.events'], ['StockWrittenOff', 'Reserved'])
    """
    services = {each.name: each for each in declarations}
    document = _Document(services)
    for each in services.values():
        document.add(each)
    return document.finished()


def channel_name(service: str) -> str:
    """Return the name of the channel that has what a service has for others."""
    return f"{service}.events"


def event_names(declaration: Declaration) -> list[str]:
    """Return the events of a service's users that are in its log."""
    return [name for name in known_events(declaration) if not _is_record(name)]


def tags_of(event: type[Event]) -> list[list[str]]:
    """Return the fields of an event that are its tags, each with the tag, as they are named in JSON."""
    fields = msgspec.structs.fields(cast("type[msgspec.Struct]", event))
    names = {field.name: field.encode_name for field in fields}
    return [[names[each.field], each.tag.name] for each in tag_fields(event)]


def _is_record(name: str) -> bool:
    return name.startswith("twofold.") or ".twofold." in name


class _Document:
    def __init__(self, services: Mapping[str, Declaration]) -> None:
        self._services = services
        self._channels: dict[str, Json] = {}
        self._operations: dict[str, Json] = {}
        self._messages: dict[str, Json] = {}
        self._schemas: dict[str, Json] = {**CLOUD_EVENT}
        self._stored: dict[str, dict[str, Json]] = {}

    def finished(self) -> Json:
        return {
            "asyncapi": "3.0.0",
            "info": {"title": ", ".join(self._services), "version": "1", "description": _DESCRIPTION},
            "defaultContentType": CONTENT_TYPE,
            "channels": self._channels,
            "operations": self._operations,
            "components": {"messages": self._messages, "schemas": self._schemas},
            STORED: self._stored,
        }

    def add(self, service: Declaration) -> None:
        self._add_stored(service)
        self._add_published(service)
        self._add_commands(service)
        for sender in service.takes_commands_from:
            self._add_taken(service, sender)
        for source in dict.fromkeys(event.message_source for event in service.subscribes):
            self._add_heard(service, source)
        for target in dict.fromkeys(command.message_service for command in service.sent):
            if target not in self._services:
                self._add_sent(service, target)

    # Events.

    def _add_stored(self, service: Declaration) -> None:
        known = known_events(service)
        events = [known[name] for name in event_names(service)]
        own = [event for event in events if not event.message_source]
        heard = [event for event in events if event.message_source]
        self._add_messages(f"{service.name}.events.", own, written, lambda each: _event_parts(service.name, each))
        self._add_messages(f"{service.name}.hears.", heard, read, _heard_parts)
        stored = {event.message_name: _message(_event_key(service.name, event)) for event in own}
        stored |= {event.message_name: _message(_reader_key(service.name, event)) for event in heard}
        self._stored[service.name] = stored

    def _heard_key(self, service: str, event: type[Event]) -> str:
        """Return where the message is that a service hears: where its source is known, that says what it publishes."""
        source = self._services.get(event.message_source)
        for told in source.publishes if source else ():
            if told.message_name == _local_name(event):
                return _event_key(event.message_source, told)
        return _reader_key(service, event)

    def _add_published(self, service: Declaration) -> None:
        if service.publishes:
            messages = {each.message_name: _event_key(service.name, each) for each in service.publishes}
            self._operate(f"{service.name}.publishes", "send", channel_name(service.name), messages, service.name)

    def _add_heard(self, service: Declaration, source: str) -> None:
        events = [event for event in service.subscribes if event.message_source == source]
        messages = {_local_name(event): self._heard_key(service.name, event) for event in events}
        self._operate(f"{service.name}.hears.{source}", "receive", channel_name(source), messages, service.name)

    # Commands.

    def _add_commands(self, service: Declaration) -> None:
        if not service.commands:
            return
        prefix = f"{service.name}.commands."
        refused = {each.command: rejections(each) for each in service.deciders}
        self._add_messages(prefix, [*refused], read, lambda each: _command_parts(refused[each]))
        channel = f"{service.name}.commands"
        self._channels[channel] = {
            "address": "/commands/{command}",
            "description": f"Commands over HTTP, in a system below `/{service.name}`: `/openapi.json` says what is answered.",
            "parameters": {"command": {"enum": [*service.commands]}},
            "messages": {},
        }
        messages = {name: f"{prefix}{_key(name)}" for name in service.commands}
        self._operate(f"{service.name}.decides", "receive", channel, messages, service.name)
        post = {"http": {"method": "POST", "bindingVersion": "0.3.0"}}
        self._operations[f"{service.name}.decides"]["bindings"] = post

    def _add_taken(self, service: Declaration, sender: str) -> None:
        """Add the commands that another service may send: as events of its log, with events of this one as answers."""
        for decider in service.deciders:
            name = decider.command.message_name
            payload = self._messages[f"{service.name}.commands.{_key(name)}"]["payload"]
            self._add_records(service.name, name, sender, payload, [each.__name__ for each in rejections(decider)])
        self._exchange(
            f"{service.name}.takes.{sender}", "receive", sender, service.name, [*service.commands], service.name
        )

    def _add_sent(self, service: Declaration, target: str) -> None:
        commands = [command for command in service.sent if command.message_service == target]
        prefix = f"{service.name}.sends.{target}."
        payloads, schemas = read(commands, prefix)
        self._schemas |= schemas
        for command, payload in zip(commands, payloads, strict=True):
            refused = [each.__name__ for each in command.message_rejections]
            self._add_records(target, command.message_name, service.name, payload, refused)
        names = [command.message_name for command in commands]
        self._exchange(f"{service.name}.sends.{target}", "send", service.name, target, names, service.name)

    def _add_records(self, target: str, command: str, sender: str, payload: Json, refused: Sequence[str]) -> None:
        """Add the records by which a command is sent, and by which its outcome comes back."""
        sent, settled = self._record_schemas()
        said = {"service": {"enum": [target]}, "command": {"enum": [command]}, "data": payload}
        self._messages[_record_key(sender, target, "sent", command)] = {
            "name": CommandSent.message_name,
            "title": f"{command}, sent by {sender} to {target}",
            "headers": headers(sender, CommandSent.message_name, target),
            "payload": {"allOf": [sent, {"properties": said}]},
        }
        known = ["", InvalidMessage.__name__, *refused]
        said = {"service": {"enum": [sender]}, "command": {"enum": [command]}, "data": payload}
        self._messages[_record_key(sender, target, "settled", command)] = {
            "name": CommandSettled.message_name,
            "title": f"What became of {command}, for {sender}",
            "headers": headers(target, CommandSettled.message_name, sender),
            "payload": {
                "allOf": [settled, {"properties": said | {"rejection": {"type": "string", "examples": known}}}]
            },
        }

    def _record_schemas(self) -> list[Json]:
        references, schemas = written([CommandSent, CommandSettled], _RECORDS)
        self._schemas |= schemas
        return references

    def _exchange(
        self, name: str, action: str, sender: str, target: str, commands: Sequence[str], service: str
    ) -> None:
        there, back = channel_name(sender), channel_name(target)
        sent = {f"{target}.{each}.sent": _record_key(sender, target, "sent", each) for each in commands}
        settled = {f"{sender}.{each}.settled": _record_key(sender, target, "settled", each) for each in commands}
        self._operate(name, action, there, sent, service)
        answered = self._on_channel(back, settled)
        self._operations[name]["reply"] = {"channel": _reference("channels", back), "messages": answered}

    # What all have in common.

    def _add_messages(
        self,
        prefix: str,
        kinds: Sequence[type[Any]],
        schemas: Callable[[Sequence[type], str], tuple[list[Json], dict[str, Json]]],
        parts: Callable[[Any], Json],
    ) -> None:
        payloads, components = schemas(kinds, prefix)
        self._schemas |= components
        for kind, payload in zip(kinds, payloads, strict=True):
            self._messages[f"{prefix}{_key(kind.message_name)}"] = {
                "name": kind.message_name,
                **_described(kind),
                **parts(kind),
                "payload": payload,
            }

    def _operate(self, name: str, action: str, channel: str, messages: Mapping[str, str], service: str) -> None:
        """Add an operation of a service with some of a channel's messages, each by its name and where it is described."""
        self._operations[name] = {
            "action": action,
            "channel": _reference("channels", channel),
            "messages": self._on_channel(channel, messages),
            "tags": [{"name": service}],
        }

    def _on_channel(self, channel: str, messages: Mapping[str, str]) -> list[Json]:
        known = self._channels.setdefault(channel, {"address": channel, "messages": {}})["messages"]
        known |= {_key(name): _message(key) for name, key in messages.items()}
        return [_reference("channels", channel, "messages", _key(name)) for name in messages]


def _event_parts(service: str, event: type[Event]) -> Json:
    tags = tags_of(event)
    names = [*dict.fromkeys(tag for _, tag in tags)]
    key = {"bindings": {"kafka": {"key": key_schema(names), "bindingVersion": "0.5.0"}}} if names else {}
    return {
        VERSION: event.message_version,
        TAGS: tags,
        "headers": headers(service, event.message_name, tags=names),
        **key,
    }


def _heard_parts(event: type[Event]) -> Json:
    return {"headers": headers(event.message_source, _local_name(event))}


def _command_parts(refused: Sequence[type[Rejected]]) -> Json:
    return {REJECTIONS: {each.__name__: each.reason() for each in refused}}


def _described(kind: type[Message]) -> Json:
    text = inspect.cleandoc(kind.__doc__ or "")
    return {"summary": text.partition("\n")[0], "description": text} if text else {}


def _local_name(event: type[Event]) -> str:
    """Return the name that an event has where it comes from."""
    return event.message_name.removeprefix(f"{event.message_source}.")


def _event_key(service: str, event: type[Event]) -> str:
    return f"{service}.events.{_key(event.message_name)}"


def _reader_key(service: str, event: type[Event]) -> str:
    return f"{service}.hears.{_key(event.message_name)}"


def _record_key(sender: str, target: str, what: str, command: str) -> str:
    return f"{sender}.{what}.{target}.{_key(command)}"


def _key(name: str) -> str:
    """Return a name as one of AsyncAPI's keys, which are made of ASCII letters, digits, dots, hyphens and underscores."""
    return re.sub(r"[^A-Za-z0-9._-]", lambda found: f"_u{ord(found[0]):x}_", name)


def _message(key: str) -> Json:
    return _reference("components", "messages", key)


def _reference(*steps: str) -> Json:
    return {"$ref": "#/" + "/".join(steps)}
