"""Typed identities: which fields of a message say whom it is about."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

from twofold.errors import DeclarationError
from twofold.messages.identity import identity_text, identity_type, named_type, unmarked


class Tag(msgspec.Struct, frozen=True):
    """Marks a type as an identity: ``AccountId = Annotated[str, Tag("account")]``.

    In an event, such a field is a tag in the log; in a command it finds the state to decide on; in a view it is the row.
    """

    name: str

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isprintable() and self.name) or ":" in self.name:
            raise DeclarationError(
                f"Tag({self.name!r}): a tag's name is a text without a colon and unprintable characters, as in Tag('account')."
            )

    def of(self, value: object) -> str:
        """Return the tag as the log stores it: two identities are the same if and only if this is.

        >>> Tag("account").of("ann")
        'account:ann'

        Raises:
            InvalidMessage: the value is no identity, or one that not every database could keep.
        """
        return f"{self.name}:{identity_text(value)}"

    def roughly(self, value: object) -> str:
        """Return a text like a tag also of what is no identity, to tell it from others."""
        return f"{self.name}:{value}"

    def named(self, tags: Collection[str]) -> list[str]:
        """Return those of an event's tags in the log that are of this name."""
        return [tag for tag in tags if tag.startswith(f"{self.name}:")]

    def finder(self, message: type) -> Callable[[Any], list[Any]]:
        """Return the function that lists the identities of this tag which a message of a class has, without repetition."""
        name = self.only_field(message)
        if not name:
            fields = tuple([field for field in tag_fields(message) if field.tag == self])
            return lambda event: list(dict.fromkeys([value for _, _, value in identities(event, fields)]))

        def single(event: Any) -> list[Any]:
            value = getattr(event, name)
            return [] if value is None else [value]

        return single

    def only_field(self, message: type) -> str:
        """Return the field in which a message of a class has its one identity of this tag; '' if it may have several."""
        fields = [field for field in tag_fields(message) if field.tag == self]
        return fields[0].field if len(fields) == 1 and not fields[0].many else ""


Step: TypeAlias = Callable[[Any], Iterable[Any]]


class TagField(msgspec.Struct, frozen=True):
    """A field of a message that is an identity, or has identities in it, to which the ``steps`` lead.

    ``kind`` is the class of the identities.
    """

    field: str
    tag: Tag
    kind: type
    steps: tuple[Step, ...] = ()

    @property
    def many(self) -> bool:
        """Whether the field may have several."""
        return bool(self.steps)

    def values(self, message: Any) -> list[Any]:
        """Return the identities that a message has in the field."""
        values = [getattr(message, self.field)]
        for step in self.steps:
            values = [item for value in values if value is not None for item in step(value)]
        return [value for value in values if value is not None]


def tag_of(annotation: Any) -> Tag | None:
    """Return the tag that a type is annotated with, if any.

    >>> tag_of(Annotated[str, Tag("account")])
    Tag(name='account')
    """
    annotation = named_type(annotation)
    if get_origin(annotation) is Annotated:
        tags = [extra for extra in annotation.__metadata__ if isinstance(extra, Tag)]
        return tags[0] if tags else tag_of(get_args(annotation)[0])
    return None


@functools.cache
def tag_fields(message: type) -> tuple[TagField, ...]:
    """Return the identities among a message's fields, in the order of their declaration.

    Raises:
        DeclarationError: an identity is of a type that has no text of its own for each value; the text names the field.
    """
    return tuple(_tag_fields(message))


def _tag_fields(message: type) -> Iterator[TagField]:
    for name, hint in type_hints(message).items():
        if get_origin(hint) is not ClassVar:
            where = f"{message.__module__}.{message.__qualname__}.{name}"
            for annotation, tag, steps in _identities_in(hint, where):
                yield TagField(name, tag, identity_type(annotation, where), steps)


def _identities_in(hint: Any, where: str) -> Iterator[tuple[Any, Tag, tuple[Step, ...]]]:
    """Yield the identities within a type: without None, their tags, and the steps from a value of the type to them."""
    tag = tag_of(hint)
    plain = unmarked(hint)
    options = [option for option in get_args(plain) if option is not type(None)] if _is_union(plain) else [plain]
    if tag:
        yield (options[0] if len(options) == 1 else plain), tag, ()
    elif len(options) > 1:
        if any(True for option in options for _ in _identities_in(option, where)):
            raise DeclarationError(
                f"{where} is one of several types, of which some are identities, so nothing says which one a value is. Give "
                "each identity a field of its own, with None as its default."
            )
    elif options == [plain]:
        for part, step in _parts(plain):
            for annotation, found, steps in _identities_in(part, where):
                yield annotation, found, (step, *steps)
    else:
        yield from _identities_in(options[0], where)


def _is_union(plain: Any) -> bool:
    return get_origin(plain) in (Union, types.UnionType)


def _parts(plain: Any) -> Iterator[tuple[Any, Step]]:
    """Yield the types of what a collection has in it, and how to get from the collection to them."""
    origin, parts = get_origin(plain), get_args(plain)
    if not isinstance(origin, type):
        return
    if issubclass(origin, Mapping):
        yield from zip(parts, (iter, _values), strict=False)
    elif origin is tuple and not (len(parts) == 2 and parts[1] is ...):
        for index, part in enumerate(parts):
            yield part, functools.partial(_at, index)
    elif issubclass(origin, Collection):
        yield parts[0], iter


def _values(mapping: Mapping[Any, Any]) -> Iterable[Any]:
    return mapping.values()


def _at(index: int, items: tuple[Any, ...]) -> tuple[Any]:
    return (items[index],)


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
            return () if value is None else (f"{prefix}{identity_text(value)}",)

        return single

    def several(event: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys([tag.of(value) for _, tag, value in identities(event, fields)]))

    return several


def identities(message: Any, fields: tuple[TagField, ...]) -> Iterator[tuple[str, Tag, Any]]:
    """Yield (field, tag, value) for each identity in a message."""
    for each in fields:
        if each.steps:
            for value in each.values(message):
                yield each.field, each.tag, value
        elif (value := getattr(message, each.field)) is not None:
            yield each.field, each.tag, value


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
    except (AttributeError, SyntaxError, TypeError) as error:
        raise DeclarationError(
            f"{owner.__module__}.{owner.__qualname__}: its annotations cannot be read: {error}. They have to be types."
        ) from error
