"""What is in a message of Kafka, whoever has written it."""

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from twofold.adapters.kafka.letters import content_of


@pytest.mark.parametrize("milliseconds", [1_700_000_000_000_000, 2**62, -5])
def test_a_time_that_no_calendar_has_is_none(milliseconds: int) -> None:
    """A producer that took milliseconds for microseconds has said something all the same, which is heard."""
    message = Message(
        headers=[("ce_id", b"1"), ("ce_type", b"Priced")], value=b"{}", timestamp=(TIMESTAMP_CREATE_TIME, milliseconds)
    )
    assert content_of(message).attributes == {"id": "1", "type": "Priced"}


def test_what_says_no_time_has_that_of_its_message() -> None:
    """So that it is told how old it is."""
    message = Message(headers=[("ce_id", b"1")], value=b"{}", timestamp=(TIMESTAMP_CREATE_TIME, 1500))
    assert content_of(message).attributes["time"] == "1970-01-01T00:00:01.500000+00:00"
