"""What a state or a row is found by: an identity, or several that name it together."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Iterable
from itertools import product
from operator import attrgetter
from typing import Any, get_origin

import msgspec

from twofold.errors import DeclarationError
from twofold.messages.identity import identity_type
from twofold.messages.tags import Tag, tag_of

MOST_PARTS = 5
"""Identities in one key: so many that a text of 500 characters has room in each, in every database's index."""


class Part(msgspec.Struct, frozen=True):
    """An identity that is a key, or one of several in it: its type as it was declared, its tag, the class of its values."""

    annotation: Any
    tag: Tag
    kind: type

    @property
    def name(self) -> str:
        """How the part is called where it stands by itself, such as a column: as its tag, made a name of Python's.

        >>> [Part(str, Tag(name), str).name for name in ("article", "order-line", "class")]
        ['article', 'order_line', 'class_']
        """
        name = re.sub(r"\W", "_", self.tag.name)
        name = name if name.isidentifier() else f"_{name}"
        return f"{name}_" if keyword.iskeyword(name) else name


class Key(msgspec.Struct, frozen=True):
    """Several identities that name a state or a row together. A value of it is a tuple, with a value for each part.

    It does for several what a `Tag` does for one.
    """

    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """What its tags are called, all together."""
        return " and ".join([part.tag.name for part in self.parts])

    @property
    def names(self) -> tuple[str, ...]:
        """What its parts are called."""
        return tuple([part.name for part in self.parts])

    def of(self, value: Any) -> str:
        """Return the one text of a key: two are the same if and only if this is.

        The tags of its parts are joined by commas, and a comma in one of them is doubled.

        >>> from typing import Annotated
        >>> article, user = Annotated[str, Tag("article")], Annotated[int, Tag("user")]
        >>> Key(key_parts((article, user))).of(("a,b", 7))
        'article:a,,b,user:7'

        Raises:
            InvalidMessage: it has a value that is no identity, or one that not every database could keep.
        """
        return _joined([part.tag.of(each) for part, each in zip(self.parts, value, strict=True)])

    def roughly(self, value: Any) -> str:
        """Return a text like that of a key also for what is none, to tell it from others."""
        return _joined([part.tag.roughly(each) for part, each in zip(self.parts, value, strict=True)])

    def named(self, tags: Collection[str]) -> list[str]:
        """Return the texts of the keys that an event names, by the tags that the log has of it."""
        return [_joined(each) for each in product(*[part.tag.named(tags) for part in self.parts])]

    def finder(self, message: type) -> Callable[[Any], list[Any]]:
        """Return the function that lists the keys which a message of a class names, without repetition.

        That is every combination of what it has for each part; if it has nothing for one of them, it names none.
        """
        names = [part.tag.only_field(message) for part in self.parts]
        if not all(names):
            finders = [part.tag.finder(message) for part in self.parts]
            return lambda event: list(product(*[find(event) for find in finders]))
        values = attrgetter(*names)

        def single(event: Any) -> list[Any]:
            key = values(event)
            return [] if None in key else [key]

        return single

    def check(self, value: Any, owner: str) -> None:
        """Check that a value has as many parts as a key of an owner.

        Raises:
            TypeError: it is no tuple, or one of another length.
        """
        if type(value) is not tuple or len(value) != len(self.parts):
            raise TypeError(f"{value!r:.60} is no key of {owner}, which is a tuple: ({', '.join(self.names)}).")


def key_parts(declared: Any, location: str = "a state") -> tuple[Part, ...]:
    """Return the parts of the key that a declaration's ``key=`` says: an identity, or a tuple of several.

    >>> from typing import Annotated
    >>> key_parts(Annotated[str, Tag("account")])[0].tag
    Tag(name='account')

    Raises:
        DeclarationError: it is no identity, or has one tag twice, so that nothing would tell its parts apart.
    """
    if isinstance(declared, list) or get_origin(declared) is tuple:
        raise DeclarationError(
            f"{location}: key={declared!r} is no tuple of identities. Write key=(ArticleId, UserId)."
        )
    if not isinstance(declared, tuple):
        return (_part(declared, location),)
    if not 1 < len(declared) <= MOST_PARTS:
        raise DeclarationError(
            f"{location}: a key of several identities has 2 to {MOST_PARTS}, and this one has {len(declared)}. For one alone "
            "write key=ArticleId, and key=(ArticleId, UserId) for those that name a row together."
        )
    parts = tuple([_part(each, location) for each in declared])
    _check_told_apart(parts, location)
    return parts


def _part(annotation: Any, location: str) -> Part:
    tag = tag_of(annotation)
    if tag is None:
        raise DeclarationError(
            f"{location}: key={annotation!r} is not an identity. Make it one: AccountId = Annotated[str, Tag('account')]."
        )
    return Part(annotation, tag, identity_type(annotation, f"{location.partition(' (')[0]}(key=…)"))


def _check_told_apart(parts: tuple[Part, ...], location: str) -> None:
    for number, part in enumerate(parts):
        for other in parts[:number]:
            if other.tag == part.tag:
                raise DeclarationError(
                    f"{location}: the key has the tag {part.tag.name!r} twice, and an event's fields of that tag do not say "
                    "which part they are. Give one of the two an identity with a tag of its own, such as "
                    f"Annotated[{part.kind.__name__}, Tag('other_{part.tag.name}')], and use that in the events too."
                )
            if other.name == part.name:
                raise DeclarationError(
                    f"{location}: the tags {other.tag.name!r} and {part.tag.name!r} would both be called {part.name}. Give "
                    "one of the identities a tag with another name."
                )


def key_of(parts: tuple[Part, ...]) -> Tag | Key:
    """Return by what a state is found whose key has these parts: a tag if it is one, and all of them together otherwise."""
    return parts[0].tag if len(parts) == 1 else Key(parts)


def _joined(tags: Iterable[str]) -> str:
    return ",".join([tag.replace(",", ",,") for tag in tags])
