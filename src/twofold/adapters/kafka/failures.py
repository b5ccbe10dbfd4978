"""What Kafka's client says of a failure, as errors of ours: one sentence, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from twofold.adapters.broker_url import BrokerUrl
from twofold.adapters.kafka.settings import EXAMPLE, KafkaSettings
from twofold.errors import BrokerUnavailable, SettingsError, TwofoldError

C = TypeVar("C")

_NOT_LET_IN: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
_NOT_ALLOWED: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Allow it to read, write and describe the topic: kafka-acls.sh --add --topic …",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "Allow it to read as that group: kafka-acls.sh --add --group …",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "Allow it to write idempotently and to create: kafka-acls.sh --add --cluster …",
}


class Noted:
    """What a client has said last about its connections, which it does by a call of its own and not where it is asked.

    Of several brokers one may be away, and the client goes on with the others.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as what was said of an attempt before may have passed."""
        self.last: KafkaError | None = None
        self._are_down = False

    def __call__(self, error: KafkaError) -> None:
        """Take note of an error; that all brokers are down says less than why the last of them is."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._are_down = True
            self.last = self.last or error
        else:
            self.last = error

    @property
    def is_refusal(self) -> bool:
        """Whether waiting will not help."""
        return self.last is not None and self.last.code() in _NOT_LET_IN

    @property
    def end(self) -> KafkaError | None:
        """Why nothing can come any more, None if something can."""
        return self.last if self._are_down or self.is_refusal else None


def failure(url: BrokerUrl, what: str, error: KafkaError, noted: Noted | None = None) -> TwofoldError:
    """Return what to raise when something could not be done."""
    # What the client itself says of a failure is that there was no answer; what a broker says (above 0) is why.
    if noted is not None and noted.last is not None and error.code() < 0:
        error = noted.last
    # How long a connection was in which state is of use to nobody who operates it.
    code, said = error.code(), error.str().partition(" (after ")[0].rstrip(".")
    if code in _NOT_LET_IN:
        return BrokerUnavailable(
            f"{what}, as Kafka at {url} does not let us in: {said}. Check user, password and mechanism in the URL."
        )
    if code in _NOT_ALLOWED:
        return SettingsError(f"{what}, as Kafka at {url} does not allow it: {said}. {_NOT_ALLOWED[code]}")
    return BrokerUnavailable(
        f"{what} by Kafka at {url}: {said}. Look whether it runs and has room, and whether the URL is right."
    )


def made(kind: Callable[[dict[str, Any]], C], settings: KafkaSettings, config: Mapping[str, Any]) -> C:
    """Return a client, which connects in the background.

    Raises:
        SettingsError: what it is told by the URL cannot be meant, such as a file that is not there.
    """
    try:
        return kind({**settings.client(), **config})
    except KafkaException as error:
        raise SettingsError(f"{settings.url}: {error.args[0].str()}. {EXAMPLE}") from error
