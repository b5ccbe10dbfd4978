"""Only what is settled without a gap is told to Kafka, which knows one offset for each partition."""

from confluent_kafka import Message

from twofold.adapters.kafka.progress import Progress


def messages(partition: int, *offsets: int) -> list[Message]:
    return [Message(topic="sales.events", partition=partition, offset=offset) for offset in offsets]


def test_the_next_offset_is_behind_the_last_that_is_settled() -> None:
    """It is where to read on, in each partition that has moved and in no other."""
    progress = Progress()
    progress.received([*messages(0, 7, 8), *messages(1, 3)])
    assert progress.settled(messages(0, 7, 8)) == {0: 9}
    assert progress.settled(messages(1, 3)) == {1: 4}


def test_what_waits_for_something_before_it_holds_back_what_is_settled_behind_it() -> None:
    """Else it would not come again after a crash."""
    progress = Progress()
    progress.received(messages(0, 1, 2, 3, 4))
    assert progress.settled(messages(0, 1, 3)) == {0: 2}
    assert progress.settled(messages(0, 4)) == {}
    assert progress.settled(messages(0, 2)) == {0: 5}


def test_offsets_that_are_not_there_are_no_gap() -> None:
    """Markers of transactions take some, and what was aborted, and nobody receives these."""
    progress = Progress()
    progress.received(messages(0, 1, 5, 9))
    assert progress.settled(messages(0, 1, 5)) == {0: 6}
    assert progress.settled(messages(0, 9)) == {0: 10}
