"""Commands, events and queries: what is said, as frozen and typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from typing_extensions import dataclass_transform

from twofold.errors import DeclarationError, Rejected
from twofold.messages.classes import check_name, check_version, service_name_flaw, struct_class
from twofold.messages.locations import class_location

Answer_co = TypeVar("Answer_co", covariant=True)


class MessageType(msgspec.StructMeta):
    """The metaclass of messages: it takes the stable name, the version, the source and the service as class keywords.

    A stored or published name must outlive the class's: renaming the class then needs ``name="OldName"`` and no
    migration.
    """

    message_name: str
    message_version: int
    message_source: str
    message_service: str
    message_rejections: tuple[type[Rejected], ...]

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
        service: str = "",
        rejections: tuple[type[Rejected], ...] = (),
        **config: Any,
    ) -> MessageType:
        location = partial(class_location, class_name, namespace)
        check_version(version, location)
        check_name(class_name if name is None else name, location)
        for keyword, value in (("source", source), ("service", service)):
            if value and (flaw := service_name_flaw(value)):
                raise DeclarationError(f"{location()}: {keyword}={value!r} is not the name of a service: {flaw}")
        cls: MessageType = struct_class(partial(super().__new__, mcls), class_name, bases, namespace, config)
        for flaw in _step_flaws(cls, namespace, version):
            raise DeclarationError(f"{location()}: {flaw}")
        local = name or class_name
        cls.message_name = f"{source}.{local}" if source else local
        cls.message_version = version
        cls.message_source = source
        cls.message_service = service
        cls.message_rejections = tuple(rejections)
        for flaw in _service_flaws(cls, service, cls.message_rejections):
            raise DeclarationError(f"{location()}: {flaw}")
        return cls


def _service_flaws(cls: type, service: str, rejections: Sequence[Any]) -> Iterator[str]:
    """Yield what is wrong with what a class says of the service that decides on it."""
    if service and not issubclass(cls, Command):
        yield f"service={service!r} says who decides on a command, and it is none."
    if rejections and not service:
        yield "rejections= says how another service refuses a command: name that, with service='…'."
    for each in rejections:
        if not (isinstance(each, type) and issubclass(each, Rejected)):
            yield f"rejections= takes classes derived from Rejected, and {each!r} is none."


def _step_flaws(cls: type, namespace: Mapping[str, Any], version: int) -> Iterator[str]:
    """Yield what is wrong with the marked functions of a message's class: of such, it has upcasts alone."""
    steps: dict[int, str] = {}
    for name, member in namespace.items():
        function = getattr(member, "__func__", member)
        if role := getattr(function, "__twofold__", ""):
            yield f"{name} has @{role}, and a message does nothing. Write it in the class of a state, or as a function."
        at = getattr(function, "__upcasts__", None)
        if at is None:
            continue
        if not issubclass(cls, Event):
            yield f"{name} has @upcast({at}), and only events are kept so long that they become old. Remove it."
        if not 1 <= at < version:
            yield f"{name} has @upcast({at}), and the class is version {version}. Upcasts are from 1 up to one below it."
        if at in steps:
            yield f"both {steps[at]} and {name} have @upcast({at}). Remove one of them."
        steps[at] = name


if TYPE_CHECKING:
    # A type checker that saw `msgspec.Struct` itself would hold every subclass to its mutable, positional defaults.
    @dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
    class FrozenStruct:
        """A `msgspec.Struct` that is frozen and keyword-only."""

        def __init_subclass__(
            cls,
            *,
            name: str = ...,
            version: int = ...,
            source: str = ...,
            service: str = ...,
            rejections: tuple[type[Rejected], ...] = ...,
            **config: Any,
        ) -> None: ...
else:
    FrozenStruct = msgspec.Struct


class Message(FrozenStruct, metaclass=MessageType):
    """What commands, events and queries have in common: frozen, keyword-only, compared by value."""


class Command(Message, forbid_unknown_fields=True):
    """A wish, in the imperative: it is decided upon, and may be rejected.

    ``service`` names the other service that decides on it, for a command that this one sends, with just the fields that it
    gives. ``rejections`` are this service's classes for the ways in which that one may refuse it, by their names there.

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
