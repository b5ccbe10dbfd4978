"""given(…).when(…).then(…): what it accepts, what it refuses, and what a reader of a failure learns."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

import pytest
from sqlalchemy import delete

from examples.bank import (
    Account,
    AlreadyOpen,
    Balance,
    Deposit,
    Deposited,
    InsufficientFunds,
    Open,
    Opened,
    Transfer,
    Transferred,
    Withdraw,
    Withdrawn,
    transfer,
)
from twofold import Aggregate, Command, Context, Decider, Event, Rejected, Tag, View, decide, evolve, project, replace
from twofold.commands import Boundary
from twofold.folding import Fold
from twofold.testing import given
from twofold.views import Transaction
from twofold.views.tables import table_of

PAID_IN = Deposited(account="ann", amount=5)


def failure(test: Callable[[], object]) -> str:
    """Return what a failing test says."""
    with pytest.raises(AssertionError) as failed:
        test()
    return str(failed.value)


# Aggregates.


def test_events_are_compared_exactly_and_in_order() -> None:
    """Other values, other order, one more, one less: each is a failure."""
    events: list[Opened | Deposited] = [Opened(account="ann", owner="Ann"), PAID_IN]

    class Both(Command):
        account: Annotated[str, Tag("account")]

    @decide
    def both(command: Both, account: Account) -> Iterator[Opened | Deposited]:
        yield from events

    when = given(both).when(Both(account="ann"))
    when.then(*events)
    wrong: list[list[Any]] = [
        [], events[:1], events[1:], events[::-1], [*events, PAID_IN], [events[0], Deposited(account="ann", amount=6)],
        [events[0], Withdrawn(account="ann", amount=5)],
    ]  # fmt: skip
    for other in wrong:
        with pytest.raises(AssertionError):
            when.then(*other)


def test_then_without_events_says_that_nothing_happens() -> None:
    """A decision may have nothing to say."""

    class Ping(Command):
        account: Annotated[str, Tag("account")]

    @decide
    def ping(command: Ping, account: Account) -> Iterator[Opened]:
        yield from ()

    given(ping, PAID_IN).when(Ping(account="ann")).then()
    assert "(nothing)" in failure(lambda: given(ping).when(Ping(account="ann")).then(PAID_IN))


def test_only_events_of_its_key_make_a_state() -> None:
    """What others were paid is not ann's."""
    given(Account, Deposited(account="bob", amount=9)).when(Withdraw(account="ann", amount=1)).rejects(
        InsufficientFunds, 0
    )


def test_a_rejection_is_compared_by_its_class_and_its_arguments() -> None:
    """A base class is not enough, as several reasons would pass for each other."""
    when = given(Account, PAID_IN).when(Withdraw(account="ann", amount=6))
    when.rejects(InsufficientFunds)
    when.rejects(InsufficientFunds, 5)
    for wrong in [(Rejected,), (AlreadyOpen,), (InsufficientFunds, 6)]:
        with pytest.raises(AssertionError, match=r"another reason(.|\n)*InsufficientFunds\(5\)"):
            when.rejects(*wrong)  # type: ignore[arg-type]


def test_an_unexpected_rejection_is_shown_with_its_reason() -> None:
    """And an expected one that did not come, with what happened instead."""
    withdraw = Withdraw(account="ann", amount=6)
    text = failure(lambda: given(Account, PAID_IN).when(withdraw).then(Withdrawn(account="ann", amount=6)))
    assert "Withdraw(account='ann', amount=6) was rejected" in text
    assert "InsufficientFunds(5)" in text
    text = failure(lambda: given(Account, PAID_IN, PAID_IN).when(withdraw).rejects(InsufficientFunds))
    assert "was not rejected" in text
    assert "Withdrawn(account='ann', amount=6)" in text


def test_expected_and_found_stand_side_by_side() -> None:
    """Each line that differs is marked; a long event has a line for each field, so that the one that differs stands out."""
    text = failure(
        lambda: given(Account).when(Deposit(account="ann", amount=5)).then(Deposited(account="ann", amount=6))
    )
    (line,) = [line for line in text.splitlines() if "amount=6" in line and "Deposit(" not in line]
    assert line.split("   ")[0].strip().startswith("! Deposited(account='ann', amount=6)")
    assert line.endswith("Deposited(account='ann', amount=5)")
    long = "a" * 60
    text = failure(lambda: given(Account).when(Open(account=long, owner="b")).then(Opened(account=long, owner="c")))
    marked = [line for line in text.splitlines() if line.startswith("  !")]
    assert [part.strip() for part in marked[0].split("owner=")] == ["!", "'c'", "'b'"]
    assert len(marked) == 1


# What is given.


def test_an_event_that_is_never_seen_is_refused() -> None:
    """It would prove nothing; the text names what is seen."""

    class Painted(Event):
        account: Annotated[str, Tag("account")]

    for subject in (Account, transfer, Balance):
        text = failure(lambda subject=subject: given(subject, Painted(account="ann")))  # type: ignore[misc]
        assert "Painted is given" in text
        assert "Deposited, Opened, Transferred, Withdrawn" in text
        assert "@evolve" in text


def test_an_event_that_the_log_could_not_give_back_is_refused() -> None:
    """Python lets any value into a field; the log would hold what nobody can read."""
    text = failure(lambda: given(Account, Deposited(account="ann", amount="five")))  # type: ignore[arg-type]
    assert "could not give it back" in text
    assert "$.amount" in text


def test_a_yielded_event_that_the_log_could_not_give_back_is_refused() -> None:
    """Here rather than by the first reader in production."""

    class Split(Command):
        account: Annotated[str, Tag("account")]

    @decide
    def split(command: Split, account: Account) -> Iterator[Deposited]:
        yield Deposited(account=command.account, amount=5 / 2)  # type: ignore[arg-type]

    assert "Deposited(account='ann', amount=2.5) is yielded" in failure(lambda: given(split).when(Split(account="ann")))


def test_a_yielded_event_that_was_not_announced_is_refused() -> None:
    """The annotation is the wiring: what it does not name, no check and no graph knows of."""

    class Sneak(Command):
        account: Annotated[str, Tag("account")]

    @decide
    def sneak(command: Sneak, account: Account) -> Iterator[Deposited]:
        yield Withdrawn(account=command.account, amount=1)  # type: ignore[misc]

    text = failure(lambda: given(sneak).when(Sneak(account="ann")))
    assert "sneak yields Withdrawn(account='ann', amount=1)" in text
    assert "Deposited" in text


def test_a_command_that_is_not_decided_there_is_refused() -> None:
    """The text says on what the subject does decide."""
    transferring = Transfer(source="ann", target="bob", amount=5)
    assert "Account does not decide on Transfer, but on Open, Deposit, Withdraw" in failure(
        lambda: given(Account).when(transferring)
    )
    assert "Balance does not decide on Transfer, but on nothing" in failure(lambda: given(Balance).when(transferring))
    assert "say on what, with .when" in failure(lambda: given(Account, PAID_IN).then())


def test_what_cannot_be_tested_is_refused() -> None:
    """The text lists what can."""
    for subject in (Deposit, lambda: None, "Account"):
        assert "takes an aggregate" in failure(lambda subject=subject: given(subject))  # type: ignore[misc]


# Other subjects.


def test_a_decision_over_several_states_sees_each_of_them() -> None:
    """Each is folded from the events of its own key."""
    paid = [Deposited(account="ann", amount=5), Deposited(account="bob", amount=1)]
    moved = Transferred(source="ann", target="bob", amount=5)
    given(transfer, *paid).when(Transfer(source="ann", target="bob", amount=5)).then(moved)
    given(transfer, *paid, moved).when(Transfer(source="ann", target="bob", amount=1)).rejects(InsufficientFunds, 0)
    given(transfer, *paid, moved).when(Transfer(source="bob", target="ann", amount=6)).then(
        Transferred(source="bob", target="ann", amount=6)
    )


def test_a_plain_decider_is_a_subject_too() -> None:
    """The escape hatch under every aggregate, with a fold that is written by hand."""

    class Seen(Event):
        number: Annotated[int, Tag("number")]

    class See(Command):
        number: Annotated[int, Tag("number")]

    seen = Fold[int]("seen", Tag("number"), lambda key: 0, {"Seen": (Seen, lambda state, event: state + 1)})
    see = Decider(
        See,
        (Boundary(seen, lambda command: command.number),),
        lambda command, context, state: [Seen(number=command.number)] * state,
    )
    given(see, Seen(number=7), Seen(number=8), Seen(number=7)).when(See(number=7)).then(Seen(number=7), Seen(number=7))


def test_the_context_is_fixed() -> None:
    """Time is what the test says, and ids count from one."""

    class Stamp(Command):
        account: Annotated[str, Tag("account")]

    @decide
    def stamp(command: Stamp, account: Account, context: Context) -> Iterator[Opened]:
        yield Opened(account=command.account, owner=f"{context.now.isoformat()} {context.new_id()} {context.new_id()}")

    at = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
    given(stamp, at=at).when(Stamp(account="ann")).then(
        Opened(account="ann", owner="2026-02-03T04:05:06.000007+00:00 id-1 id-2")
    )
    given(stamp).when(Stamp(account="ann")).then(Opened(account="ann", owner="2026-01-01T12:00:00+00:00 id-1 id-2"))


# Views and projections.


def test_a_view_has_exactly_the_rows_that_are_named() -> None:
    """In whatever order; one more or one less is a failure."""
    events = [
        Deposited(account="ann", amount=5),
        Deposited(account="bob", amount=2),
        Transferred(source="ann", target="bob", amount=5),
    ]
    ann, bob = Balance(key="ann", amount=0), Balance(key="bob", amount=7)
    given(Balance, *events).then(ann, bob)
    given(Balance, *events).then(bob, ann)
    given(Balance).then()
    for wrong in [[ann], [bob, bob], [ann, bob, bob], [replace(ann, amount=1), bob]]:
        assert "Balance has other rows" in failure(lambda wrong=wrong: given(Balance, *events).then(*wrong))  # type: ignore[misc]


def test_a_row_that_is_evolved_to_none_is_gone() -> None:
    """And begins anew with the next event."""

    class Open_(View, key=Annotated[str, Tag("account")]):  # noqa: N801
        amount: int = 0

        @evolve
        def deposited(self, event: Deposited) -> Self:
            return replace(self, amount=self.amount + event.amount)

        @evolve
        def withdrawn(self, event: Withdrawn) -> Self | None:
            return None

    gone = [PAID_IN, Withdrawn(account="ann", amount=1)]
    given(Open_, *gone).then()
    given(Open_, *gone, PAID_IN).then(Open_(key="ann", amount=5))


class Stock(View, key=Annotated[str, Tag("sku")]):
    units: int = 0


class Value(View, key=Annotated[str, Tag("sku")]):
    price: Decimal = Decimal(0)


class Counted(Event):
    units: dict[str, int]
    price: Decimal = Decimal(0)


@project(Stock, Value)
async def counted(event: Counted, rows: Transaction) -> None:
    for sku, units in event.units.items():
        stock = await rows.get(Stock, sku)
        if stock.units + units:
            rows.put(replace(stock, units=stock.units + units))
        else:
            rows.delete(Stock, sku)
        rows.put(Value(key=sku, price=event.price))


def test_a_projection_is_tested_by_the_rows_of_all_its_views() -> None:
    """It is async inside, and neither the test nor its caller need an event loop, or mind one."""
    events = [Counted(units={"lamp": 2, "vase": 1}), Counted(units={"vase": -1}, price=Decimal("1.50"))]
    rows = [Stock(key="lamp", units=2), Value(key="lamp"), Value(key="vase", price=Decimal("1.50"))]
    given(counted, *events).then(*rows)

    async def in_a_loop() -> None:
        given(counted, *events).then(*rows)

    asyncio.run(in_a_loop())


def test_a_projection_that_waits_for_something_else_is_refused() -> None:
    """It would come to other rows when it is retried or rebuilt."""

    @project(Stock)
    async def curious(event: Counted, rows: Transaction) -> None:
        await asyncio.sleep(0)

    assert "curious" in failure(lambda: given(curious, Counted(units={})).then())


def test_statements_need_a_database() -> None:
    """What cannot be judged here is not passed over."""

    @project(Stock)
    async def sweeping(event: Counted, rows: Transaction) -> None:
        rows.execute(delete(table_of(Stock)))

    assert "running(service)" in failure(lambda: given(sweeping, Counted(units={})).then())


def test_an_error_in_a_decision_passes_through() -> None:
    """The trace leads to the user's line."""

    class Broken(Aggregate, key=Annotated[str, Tag("account")]):
        @decide
        def deposit(self, command: Deposit) -> Iterator[Deposited]:
            yield Deposited(account=command.account, amount=1 // 0)

        @evolve
        def deposited(self, event: Deposited) -> Self:
            return self

    def test() -> Any:
        return given(Broken).when(Deposit(account="ann", amount=1))

    with pytest.raises(ZeroDivisionError):
        test()
