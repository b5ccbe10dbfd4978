"""Typed identities: which fields of a message say whom it is about."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints

import msgspec

from twofold.errors import DeclarationError


class Tag(msgspec.Struct, frozen=True):
    """Marks a type as an identity: ``AccountId = Annotated[str, Tag("account")]``.

    In an event, such a field is a tag in the log; in a command it finds the state to decide on; in a view it is the row.
    """

    name: str

    def __post_init__(self) -> None:
        if not self.name or ":" in self.name:
            raise DeclarationError(
                f"Tag({self.name!r}): a tag's name is not empty and has no colon, as in Tag('account')."
            )

    def of(self, value: object) -> str:
        """Return the tag as the log stores it.

        >>> Tag("account").of("ann")
        'account:ann'
        """
        return f"{self.name}:{value}"


class TagField(msgspec.Struct, frozen=True):
    """A field of a message that is an identity, or (``many``) a collection of identities."""

    field: str
    tag: Tag
    many: bool


def tag_of(annotation: Any) -> Tag | None:
    """Return the tag that a type is annotated with, if any.

    >>> tag_of(Annotated[str, Tag("account")])
    Tag(name='account')
    """
    if get_origin(annotation) is Annotated:
        return next((extra for extra in annotation.__metadata__ if isinstance(extra, Tag)), None)
    return None


@functools.cache
def tag_fields(message: type) -> tuple[TagField, ...]:
    """Return the identities among a message's fields, in the order of their declaration."""
    return tuple(_tag_fields(message))


def _tag_fields(message: type) -> Iterator[TagField]:
    for name, hint in type_hints(message).items():
        if get_origin(hint) is ClassVar:
            continue
        if tag := tag_of(hint):
            yield TagField(name, tag, many=False)
            continue
        for part in get_args(hint):
            if tag := tag_of(part):
                optional = get_origin(hint) in (Union, types.UnionType)
                yield TagField(name, tag, many=not optional)
                break


@functools.cache
def tagger(message: type) -> Callable[[Any], tuple[str, ...]]:
    """Return the function that lists the tags of a message, without repetition.

    >>> class Moved(msgspec.Struct):
    ...     source: Annotated[str, Tag("account")]
    ...     target: Annotated[str, Tag("account")]
    >>> tagger(Moved)(Moved("ann", "bob"))
    ('account:ann', 'account:bob')
    """
    fields = tag_fields(message)
    if not fields:
        return lambda _: ()
    if len(fields) == 1 and not fields[0].many:
        field, prefix = fields[0].field, f"{fields[0].tag.name}:"

        def single(event: Any) -> tuple[str, ...]:
            value = getattr(event, field)
            return () if value is None else (f"{prefix}{value}",)

        return single

    def several(event: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tag.of(value) for _, tag, value in identities(event, fields)))

    return several


def identities(message: Any, fields: tuple[TagField, ...]) -> Iterator[tuple[str, Tag, Any]]:
    """Yield (field, tag, value) for each identity in a message."""
    for each in fields:
        value = getattr(message, each.field)
        if value is None:
            continue
        for item in value if each.many else (value,):
            yield each.field, each.tag, item


def type_hints(owner: Any) -> dict[str, Any]:
    """Resolve annotations, extras included, or say which name cannot be found from where.

    Raises:
        DeclarationError: an annotation names something that is not defined in the owner's module.
    """
    try:
        return get_type_hints(owner, include_extras=True)
    except NameError as error:
        where = f"{owner.__module__}.{owner.__qualname__}"
        raise DeclarationError(
            f"{where}: its annotations name {error.name!r}, which its module does not define when the program runs. "
            "Import it outside `if TYPE_CHECKING:`, and declare messages and states at the top of a module."
        ) from error
