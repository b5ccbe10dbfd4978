"""Where things are on NATS: a stream for each service, the subjects that it takes, and what makes sure that it is there."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

import msgspec
from nats.js.api import RetentionPolicy, StorageType
from nats.js.errors import NotFoundError

from twofold.adapters.broker_url import BrokerUrl
from twofold.adapters.nats.connection import Connection
from twofold.errors import SettingsError

EXAMPLE: Final = "For example nats://127.0.0.1:4222?stream=*-events&subject=*.events.>&replicas=3"

_NAME = re.compile(r"[^\s.*>/\\]+")
_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*(\.>)?")
_EDGES = re.compile(r"^\.|\.$|\.(?=\.)")


class Place(msgspec.Struct, frozen=True):
    """A stream and the subjects that it takes."""

    stream: str
    subjects: str

    def subject(self, type_name: str) -> str:
        """Return the subject for events of a type.

        >>> Place("sales-events", "sales.events.>").subject("order.placed now")
        'sales.events.order.placed%20now'
        """
        if not self.subjects.endswith(">"):
            return self.subjects
        return self.subjects.removesuffix(">") + _EDGES.sub("%2E", quote(type_name, safe="$+@:,=~"))


def events_of(source: str, url: BrokerUrl) -> Place:
    """Return where a service's events are.

    Raises:
        SettingsError: NATS has no such places.
    """
    return _checked(Place(url.place("stream", "*-events", source), url.place("subject", "*.events.>", source)), url)


def replicas_of(url: BrokerUrl) -> int:
    """Return how many servers keep each stream that is created.

    Raises:
        SettingsError: it is no number.
    """
    return url.number("replicas", 1, EXAMPLE)


def dead_letters_of(group: str, url: BrokerUrl) -> Place:
    """Return where what a service could not read is kept.

    Raises:
        SettingsError: NATS has no such place.
    """
    name = url.place("dead_letters", "*-dead-letters", group)
    return _checked(Place(name, name), url)


def _checked(place: Place, url: BrokerUrl) -> Place:
    if not (_NAME.fullmatch(place.stream) and _SUBJECT.fullmatch(place.subjects)):
        raise SettingsError(
            f"{url}: there can be no stream {place.stream!r} of the subjects {place.subjects!r}. A stream's name has no dots, "
            f"and subjects are words between dots, of which the last may be '>'. {EXAMPLE}"
        )
    return place


async def prepare(place: Place, connection: Connection, url: BrokerUrl) -> None:
    """See to it that a stream is there, and keeps what it takes for everybody.

    Raises:
        SettingsError: it is not, and has to be created by hand; or it is of another kind.
        BrokerUnavailable: the server does not answer.
    """
    try:
        found = await connection.answer(connection.streams.stream_info(place.stream))
    except NotFoundError as error:
        await _create(place, connection, url, error)
        return
    if found.config.retention != RetentionPolicy.LIMITS:
        raise SettingsError(
            f"{url}: the stream {place.stream} has the retention {found.config.retention}, by which it removes what one "
            "service has read before another one has. Streams of events have the retention limits: create it anew."
        )


async def _create(place: Place, connection: Connection, url: BrokerUrl, missing: NotFoundError) -> None:
    replicas = replicas_of(url)
    if url.options.get("create") == "no":
        raise SettingsError(
            f"{url}: there is no stream {place.stream}, and create=no says that it is created by hand: nats stream add "
            f"{place.stream} --subjects '{place.subjects}' --storage file --retention limits --replicas {replicas} --defaults"
        ) from missing
    making = connection.streams.add_stream(
        name=place.stream,
        subjects=[place.subjects],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        num_replicas=replicas,
    )
    await connection.answer(making)
