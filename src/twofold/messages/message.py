"""Commands, events and queries: what is said, as frozen and typed values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from typing_extensions import dataclass_transform

from twofold.errors import DeclarationError

Answer_co = TypeVar("Answer_co", covariant=True)


class MessageType(msgspec.StructMeta):
    """The metaclass of messages: it takes the stable name, the version and the source as class keywords.

    A stored or published name must outlive the class's: renaming the class then needs ``name="OldName"`` and no
    migration.
    """

    message_name: str
    message_version: int
    message_source: str

    def __new__(
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        name: str | None = None,
        version: int = 1,
        source: str = "",
        **config: Any,
    ) -> MessageType:
        config.setdefault("frozen", True)
        config.setdefault("kw_only", True)
        cls = super().__new__(mcls, class_name, bases, namespace, **config)
        if version < 1:
            raise DeclarationError(f"{class_name}: version={version} is not a version; versions start at 1.")
        local = name or class_name
        cls.message_name = f"{source}.{local}" if source else local
        cls.message_version = version
        cls.message_source = source
        return cls


if TYPE_CHECKING:
    # A type checker that saw `msgspec.Struct` itself would hold every subclass to its mutable, positional defaults.
    @dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
    class FrozenStruct:
        """A `msgspec.Struct` that is frozen and keyword-only."""

        def __init_subclass__(
            cls, *, name: str = ..., version: int = ..., source: str = ..., **config: Any
        ) -> None: ...
else:
    FrozenStruct = msgspec.Struct


class Message(FrozenStruct, metaclass=MessageType):
    """What commands, events and queries have in common: frozen, keyword-only, compared by value."""


class Command(Message, forbid_unknown_fields=True):
    """A wish, in the imperative: it is decided upon, and may be rejected.

    >>> class Withdraw(Command):
    ...     account: str
    ...     amount: int
    >>> Withdraw(account="ann", amount=5)
    Withdraw(account='ann', amount=5)
    """


class Event(Message):
    """A fact, in the past tense: it was decided, it is in the log, and it does not change.

    ``version`` counts the shapes that the type has had (see `twofold.messages.upcast`); ``source`` names the service
    whose published event this type reads, with just the fields that the reader needs:

    >>> class Sold(Event, name="InvoiceIssued", source="sales"):
    ...     country: str
    >>> Sold.message_name
    'sales.InvoiceIssued'
    """


class Query(Message, Generic[Answer_co], forbid_unknown_fields=True):
    """A question, with the type of its answer.

    >>> class BalanceOf(Query[int]):
    ...     account: str
    """
