"""What travels with a message besides its content: who caused it, and as part of what."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The circumstances of a message.

    ``correlation`` is the same for everything that one outside request set off; ``causation`` is the id of the message
    that directly led to this one. Both are carried along by themselves: see `current`.
    """

    correlation: str = ""
    causation: str = ""
    command: str = ""
    actor: str = ""
    traceparent: str = ""
    source: str = ""
    source_id: str = ""
    source_position: int = 0

    def caused(self, by: str, command: str = "") -> Metadata:
        """Return the metadata of a message that the message with the id ``by`` led to.

        >>> Metadata(correlation="request-1", actor="ann").caused(by="command-1")
        Metadata(correlation='request-1', causation='command-1', command='', actor='ann', traceparent='', \
source='', source_id='', source_position=0)
        """
        return Metadata(
            correlation=self.correlation or by,
            causation=by,
            command=command,
            actor=self.actor,
            traceparent=self.traceparent,
        )


NOTHING = Metadata()

current: ContextVar[Metadata] = ContextVar("twofold_metadata", default=NOTHING)
"""The metadata of the message being handled: what is sent meanwhile inherits from it."""
