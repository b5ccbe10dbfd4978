"""Instances of processes: what each remembers, and the table in which that is kept."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec

from twofold.followers import storable_key
from twofold.processes.records import InstanceId
from twofold.views import Index, View

_LONGEST_KEY = 200
_SHOWN = 60
_DIGEST = re.compile("~[0-9a-f]{16}$")


class Undo(msgspec.Struct, frozen=True):
    """A command that undoes a step."""

    command: str
    data: msgspec.Raw


class Sent(msgspec.Struct, frozen=True):
    """A command of which the outcome is not known yet, when it was sent, and what undoes it."""

    command: str
    sent_us: int
    undo: Undo | None = None


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an instance waits for, and what it can undo.

    ``sent`` has the commands without an outcome, by their ids; ``timers`` when each is due, by class; ``undo`` what undoes the
    steps that were accepted, in that order. While all is being undone, it ``compensates``, and ``undoing`` is the id of
    the command that undoes the last of them; if it ``ends``, it does so when nothing is left.
    """

    sent: dict[str, Sent] = {}
    timers: dict[str, int] = {}
    undo: tuple[Undo, ...] = ()
    compensates: bool = False
    undoing: str = ""
    ends: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether no step is under way that could have to be undone."""
        return not self.undoing and all(each.undo is None for each in self.sent.values())


class Instance(msgspec.Struct, frozen=True):
    """One instance of a process: its state, of the class of a version, and what it waits for.

    ``position`` is that of the last event that it was told of: one that is told again changes nothing.
    """

    id: str
    version: int
    state: Any
    waiting: Waiting
    started_us: int
    changed_us: int
    position: int
    ended: bool = False


class ProcessInstance(View, key=InstanceId):
    """An instance as a row of a table, for whoever looks: ``state`` is JSON, times are microseconds since 1970."""

    process: Annotated[str, Index] = ""
    version: int = 0
    status: Annotated[Literal["running", "ended"], Index] = "running"
    state: str = ""
    waiting: Waiting = Waiting()
    started_us: int = 0
    changed_us: int = 0
    position: int = 0


def instance_key(key: str) -> str:
    """Return the text of an instance's key, as it is ordered, parked and named by: of a long one the beginning, and a digest.

    So there is room for it in the ids of all that it sends. One that looks like that itself is given a digest, too, as no two
    keys have one text.

    >>> instance_key("order:7")
    'order:7'
    >>> instance_key("order:" + 500 * "x")[52:]
    'xxxxxxxx~d1d59523bf5afe70'
    >>> instance_key("order:~d1d59523bf5afe70")
    'order:~d1d59523bf5afe70~c89357f340992007'
    """
    if len(key) > _LONGEST_KEY or _DIGEST.search(key):
        key = f"{key[:_SHOWN]}~{sha256(key.encode()).hexdigest()[:16]}"
    return storable_key(key)


def instance_id(process: str, key: str) -> str:
    """Return the name of an instance, by its process and the text of its key.

    >>> instance_id("Fulfilment", "order:7")
    'Fulfilment/order:7'
    """
    return f"{process}/{key}"


def key_text(instance: str, process: str) -> str:
    """Return the text of an instance's key, '' if it is one of another process.

    >>> key_text("Fulfilment/order:7", "Fulfilment")
    'order:7'
    """
    name, _, key = instance.partition("/")
    return key if name == process else ""
