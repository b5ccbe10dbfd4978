"""Names, tags, receipts and metadata: what messages are called and whom they are about."""

from contextlib import suppress
from types import new_class
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.errors import DeclarationError, InvalidReceipt
from twofold.messages import Event, Metadata, Receipt, Tag, decoder, encode, parse_receipts, tagger

AccountId = Annotated[str, Tag("account")]
BranchId = Annotated[int, Tag("branch")]


class Transferred(Event):
    source: AccountId
    target: AccountId
    branch: BranchId
    witnesses: tuple[AccountId, ...] = ()
    referee: AccountId | None = None


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(
    st.builds(
        Transferred,
        source=TEXTS,
        target=TEXTS,
        branch=st.integers(-(2**63), 2**63 - 1),
        witnesses=st.lists(TEXTS, max_size=4).map(tuple),
        referee=st.none() | TEXTS,
    )
)
def test_an_event_has_a_tag_for_every_identity_in_it_once(event: Transferred) -> None:
    """In single fields, in collections, and in those that may be empty; whatever characters are in them."""
    accounts = [event.source, event.target, *event.witnesses, *([event.referee] if event.referee is not None else [])]
    tags = tagger(Transferred)(event)
    assert set(tags) == {f"account:{each}" for each in accounts} | {f"branch:{event.branch}"}
    assert len(tags) == len(set(tags))


def test_a_tag_s_name_cannot_be_taken_for_its_value() -> None:
    """Two identities never have one tag: names have no colon, and values may. Every database keeps such a name."""
    assert Tag("account").of("a:b") == "account:a:b"
    names: list[Any] = ["", "a:b", "a\0b", "a\ud800b", "a\nb", 7]
    for name in names:
        with pytest.raises(DeclarationError, match="without a colon and unprintable"):
            Tag(name)


def test_a_name_outlives_the_class_s() -> None:
    """What is stored and published is called as it was first, whatever the class is renamed to."""

    class MoneyMoved(Event, name="Transferred", version=2):
        amount: int

    class Heard(Event, name="Transferred", source="bank"):
        amount: int

    assert (MoneyMoved.message_name, MoneyMoved.message_version, MoneyMoved.message_source) == ("Transferred", 2, "")
    assert (Heard.message_name, Heard.message_version, Heard.message_source) == ("bank.Transferred", 1, "bank")
    with pytest.raises(DeclarationError, match="versions start at 1"):
        new_class("Nothing", (Event,), {"version": 0})


@given(st.lists(st.builds(Receipt, st.from_regex(r"[a-z][a-z0-9_-]*", fullmatch=True), st.integers(0, 10**18 - 1))))
def test_receipts_are_read_as_they_were_written(receipts: list[Receipt]) -> None:
    """One or several travel as text through headers, forms and command lines."""
    assert parse_receipts(", ".join(str(each) for each in receipts)) == tuple(receipts)


@given(st.text(max_size=20))
def test_any_text_is_receipts_or_said_to_be_none(text: str) -> None:
    """Nothing that anybody sends as a receipt causes another error than the one that is for it."""
    with suppress(InvalidReceipt):
        assert all(receipt.service and receipt.position >= 0 for receipt in parse_receipts(text))


@pytest.mark.parametrize("text", ["bank", "@7", "bank@", "bank@-1", "bank@7.5", "bank@٣", "bank@" + "9" * 19, "a@1,b"])
def test_what_only_looks_like_a_receipt_is_refused(text: str) -> None:
    """A position is a plain number that a log can have."""
    with pytest.raises(InvalidReceipt, match="such as 'bank@7'"):
        parse_receipts(text)


METADATA = st.builds(
    Metadata,
    correlation=TEXTS,
    causation=TEXTS,
    command=TEXTS,
    actor=TEXTS,
    traceparent=TEXTS,
    source=TEXTS,
    source_id=TEXTS,
    source_position=st.integers(0, 2**63 - 1),
)


@given(METADATA)
def test_metadata_is_kept_and_takes_no_room_where_it_says_nothing(metadata: Metadata) -> None:
    """Most events have little of it, and there are many events."""
    assert decoder(Metadata).decode(encode(metadata)) == metadata
    assert encode(Metadata()) == b"{}"


@given(METADATA, TEXTS)
def test_what_a_message_causes_belongs_to_the_same_correlation(metadata: Metadata, by: str) -> None:
    """A chain of any length can be traced back to what set it off, and says whom it is done for."""
    caused = metadata.caused(by)
    assert caused.correlation == (metadata.correlation or by)
    assert (caused.causation, caused.actor, caused.traceparent) == (by, metadata.actor, metadata.traceparent)
    assert (caused.command, caused.source, caused.source_id, caused.source_position) == ("", "", "", 0)
