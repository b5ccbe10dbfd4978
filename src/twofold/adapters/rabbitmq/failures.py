"""What RabbitMQ or its client says of a failure, as errors of ours: one sentence, and what to do."""

from __future__ import annotations

from typing import Final

from aio_pika.exceptions import (
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionClosed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionInternalError

from twofold.adapters.rabbitmq.settings import RabbitMQSettings
from twofold.errors import BrokerUnavailable, SettingsError, TwofoldError
from twofold.urls import without_passwords


class NoLeader(BrokerUnavailable):
    """A queue has no leader yet: it was made a moment ago, or its node was lost."""


_LOST: Final = "The connection to RabbitMQ at {url} is lost: {said}. It is opened again."
_TOO_LARGE: Final = (
    "RabbitMQ at {url} does not take an event as large as one that is to be published: {said}. Raise max_message_size in its "
    "rabbitmq.conf. Nothing is skipped, as the order of what comes after it would be another one."
)
_TOLD: Final[list[tuple[type[BaseException], type[TwofoldError], str]]] = [
    (
        ProbableAuthenticationError,
        BrokerUnavailable,
        (
            "RabbitMQ at {url} does not let {user} in: {said}. Mend the name or the password in the URL, or set it "
            "there: rabbitmqctl change_password."
        ),
    ),
    (
        # The client does not say what the broker has answered where it expects a yes, which is the case here alone.
        InvalidFrameError,
        SettingsError,
        (
            "RabbitMQ at {url} has no virtual host {vhost} that {user} may use. Name another one in the URL, after the "
            "server, or see to it: rabbitmqctl add_vhost, rabbitmqctl set_permissions."
        ),
    ),
    (
        ChannelPreconditionFailed,
        SettingsError,
        (
            "RabbitMQ at {url} has a queue or an exchange that is declared otherwise than is needed: {said}. Delete it "
            "once it is empty (rabbitmqctl delete_queue), or name others in the URL: ?exchange=…"
        ),
    ),
    (
        ChannelNotFoundEntity,
        SettingsError,
        (
            "RabbitMQ at {url} lacks what others have to make, as the URL says create=no: {said}. It needs a durable "
            "exchange of type topic for each service that publishes, and for each that subscribes to it a quorum queue "
            "with x-single-active-consumer, bound by '#': docs/brokers.md has their names."
        ),
    ),
    (
        ChannelAccessRefused,
        SettingsError,
        (
            "RabbitMQ at {url} does not allow {user} to do this: {said}. Allow it (rabbitmqctl set_permissions), or "
            "make what is needed and say create=no in the URL."
        ),
    ),
    (
        DeliveryError,
        NoLeader,
        (
            "RabbitMQ at {url} refuses what is published. A queue may be full (x-max-length with reject-publish), or "
            "without a majority of its nodes: rabbitmqctl list_queues name state messages."
        ),
    ),
    (ConnectionInternalError, NoLeader, _LOST),
    (ConnectionClosed, BrokerUnavailable, _LOST),
    (ChannelInvalidStateError, BrokerUnavailable, _LOST),
    (OSError, BrokerUnavailable, "RabbitMQ at {url} cannot be reached: {said}. Start it, or mend the URL."),
    (BaseException, BrokerUnavailable, _LOST),
]


def failure(settings: RabbitMQSettings, error: BaseException) -> TwofoldError:
    """Return what to raise where the client has raised something."""
    said = said_by(error).rstrip(".")
    facts = {"url": settings.url, "user": settings.user, "vhost": settings.vhost, "said": said}
    if isinstance(error, ChannelNotFoundEntity) and settings.creates:
        # Somebody has deleted it meanwhile, and the next attempt makes it again.
        return BrokerUnavailable(_LOST.format(**facts))
    if isinstance(error, ChannelPreconditionFailed) and "message size" in said:
        return SettingsError(_TOO_LARGE.format(**facts))
    kind, text = next((kind, text) for raised, kind, text in _TOLD if isinstance(error, raised))
    return kind(text.format(**facts))


def said_by(error: BaseException) -> str:
    """Return what RabbitMQ or the client says in an error, without what must not be shown."""
    texts = [each for each in error.args if isinstance(each, str) and each]
    return without_passwords(texts[-1] if texts else str(error) or type(error).__name__)
