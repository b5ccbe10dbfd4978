"""Event handlers as they are declared: what is wrong is said at import, with what to do."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import pytest

from examples.bank import Account, Balance, Deposit, Deposited
from twofold import Command, Event, HandlerContext, HandlerTransaction, Service, Tag, handle
from twofold.declaration import filled_by
from twofold.errors import DeclarationError, NotFound
from twofold.processes import event_handler_of

ItemId = Annotated[str, Tag("item")]


class Mailer: ...


class Elsewhere(Command, service="other"):
    account: str


class Undecided(Command):
    account: str


async def plain(event: Deposited) -> None: ...


def not_async(event: Deposited) -> None: ...


async def yielding(event: Deposited) -> Any:
    yield event


async def without_event(account: str) -> None: ...


async def of_everything(event: Event) -> None: ...


async def with_a_text(event: Deposited, mailer: Mailer | None) -> None: ...


async def returning_text(event: Deposited) -> str:
    return event.account


async def several(event: Deposited, context: HandlerContext) -> list[Deposit | Elsewhere] | None: ...


@pytest.mark.parametrize(
    ("function", "options", "text"),
    [
        (not_async, {"start": "now"}, r"not_async \(.*\): an event handler is an async function"),
        (yielding, {"start": "now"}, "async function that returns once"),
        (plain, {"start": "soon"}, "start='soon' is none. Write start='now'"),
        (plain, {"start": datetime(2026, 1, 1)}, "start=datetime"),  # noqa: DTZ001
        (plain, {"start": "now", "key": str}, r"key=<class 'str'> is no identity. Write key=OrderId"),
        (plain, {"start": "now", "key": ItemId}, "handles Deposited by the identity 'item', and Deposited has none"),
        (plain, {"start": "now", "policy": 3}, r"policy=3 is none. Write policy=retries\(…\)"),
        (plain, {"start": "now", "name": "a/b"}, "name='a/b' is not a name"),
        (without_event, {"start": "now"}, "annotate its parameter 'account' with the Event that it handles"),
        (of_everything, {"start": "now"}, "Event stands for no event of its own"),
        (with_a_text, {"start": "now"}, "annotate its parameter 'mailer' with the class of what it needs"),
        (returning_text, {"start": "now"}, "returns nothing, a command, or a list of commands"),
    ],
)
def test_what_cannot_work_is_said(function: Callable[..., Any], options: dict[str, Any], text: str) -> None:
    """With the function's name and line."""
    with pytest.raises(DeclarationError, match=text):
        handle(**options)(function)


def test_a_declared_function_is_as_it_was() -> None:
    """A test calls it with whatever it likes; what was declared is beside it."""
    declared = handle(start="first", name="said")(several)
    assert declared is several
    found = event_handler_of(declared)
    assert (found.follower, found.commands, found.resources) == ("handler:said", (Deposit, Elsewhere), {})


def test_a_service_lists_what_is_declared() -> None:
    """Each once, under a name of its own, and with commands that somebody decides on."""

    @handle(start="now")
    async def tell(event: Deposited) -> None: ...

    @handle(start="now", name="tell")
    async def tell_too(event: Deposited) -> None: ...

    @handle(start="now")
    async def ask(event: Deposited) -> Undecided | None: ...

    with pytest.raises(DeclarationError, match=r"plain .*is listed as an event handler and has no @handle"):
        Service("bank", aggregates=[Account], handlers=[plain])
    with pytest.raises(DeclarationError, match="are the follower handler:tell"):
        Service("bank", aggregates=[Account], handlers=[tell, tell_too])
    with pytest.raises(
        DeclarationError, match=r"ask .*sends Undecided, and nothing in Service\('bank'\) decides on it"
    ):
        Service("bank", aggregates=[Account], handlers=[ask])


def test_what_a_handler_has_done_is_not_done_again() -> None:
    """It is no view that could be rebuilt."""

    @handle(start="now")
    async def tell(event: Deposited) -> None: ...

    bank = Service("bank", aggregates=[Account], views=[Balance], handlers=[tell])
    with pytest.raises(NotFound, match="handler:tell fills no view, and what it has done and sent is not done again"):
        filled_by(bank.declaration, "handler:tell")


def test_a_handler_returns_what_it_says() -> None:
    """Anything else is an error that names it."""
    found = event_handler_of(handle(start="first")(several))
    deposit = Deposit(account="ann", amount=1)
    assert [found.returned(None), found.returned(deposit), found.returned([deposit])] == [[], [deposit], [deposit]]
    with pytest.raises(TypeError, match=r"several .*returns 'ann', and its annotation says Deposit, Elsewhere"):
        found.returned("ann")


def test_a_handler_writes_no_view() -> None:
    """What it writes there would be gone when the view is filled anew."""
    from sqlalchemy import delete

    from twofold.views.tables import table_of

    with pytest.raises(DeclarationError, match="An event handler writes Balance, which is filled from the log"):
        HandlerTransaction().execute(delete(table_of(Balance)))
