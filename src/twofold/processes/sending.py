"""How a command is put into the log that somebody else is to decide: the own service at its time, or another one."""

from __future__ import annotations

import msgspec

from twofold.followers import storable_key
from twofold.messages import Command, encode, received, tagger
from twofold.processes.records import CommandSent


def sent(command: Command, id: str, service: str, instance: str | None = None) -> CommandSent:
    """Return the record by which a command is sent by a service, itself or for an instance of one of its processes.

    Commands about the same first identity are decided in the order in which they were sent; so are those of one instance that
    are about none.

    Raises:
        InvalidMessage: the command does not fit its type, or names what is no identity.
    """
    command, kind = received(command), type(command)
    tags = tagger(kind)(command)
    order = storable_key(tags[0]) if tags else instance or id
    data = msgspec.Raw(encode(command))
    return CommandSent(
        id=id,
        service=kind.message_service or service,
        command=kind.message_name,
        data=data,
        order=order,
        instance=instance,
    )
