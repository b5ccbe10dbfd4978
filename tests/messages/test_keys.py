"""Keys of several parts: one text for each, and the same ones in an event's fields and in its tags."""

from datetime import date
from enum import Enum
from itertools import product
from typing import Annotated, Any
from uuid import UUID

import pytest

from twofold import Event, Tag
from twofold.errors import InvalidMessage
from twofold.messages import Key, key_parts, tagger

ArticleId = Annotated[str, Tag("article")]
UserId = Annotated[int, Tag("user")]
STARS = Key(key_parts((ArticleId, UserId)))


class Starred(Event):
    article: ArticleId
    user: UserId


class Merged(Event):
    into: ArticleId
    other: ArticleId
    readers: tuple[UserId, ...] = ()
    editor: UserId | None = None


class Drafted(Event):
    article: ArticleId
    user: UserId | None = None


class Size(Enum):
    SMALL = 1


@pytest.mark.parametrize("names", [("a", "u"), ("a", ",u"), (",", ",,"), ("u", "a", "u,")], ids=repr)
def test_two_keys_have_one_text_only_if_they_are_the_same(names: tuple[str, ...]) -> None:
    """Whatever of the text's own signs their parts have, and whatever the tags are called."""
    key = Key(key_parts(tuple([Annotated[str, Tag(name)] for name in names])))
    parts = ["".join(signs) for length in range(4) for signs in product(",u:", repeat=length)]
    values = [*product(parts, repeat=len(names))]
    assert len({key.of(value) for value in values}) == len(values)


def test_a_key_s_text_is_its_tags() -> None:
    """Each as the log has it, in the order of the declaration."""
    kinds = (UUID, date, Size)
    key = Key(key_parts(tuple([Annotated[kind, Tag(kind.__name__.lower())] for kind in kinds])))
    assert STARS.of(("on stars", 7)) == "article:on stars,user:7"
    value = (UUID(int=10), date(2026, 1, 31), Size.SMALL)
    assert key.of(value) == "uuid:00000000-0000-0000-0000-00000000000a,date:2026-01-31,size:1"
    with pytest.raises(InvalidMessage, match="NUL"):
        STARS.of(("a\0", 7))
    assert STARS.roughly(("a\0", 7)) == "article:a\0,user:7"


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (Starred(article="a", user=1), [("a", 1)]),
        (Merged(into="a", other="b", editor=1), [("a", 1), ("b", 1)]),
        (Merged(into="a", other="b", readers=(3, 2, 3)), [("a", 3), ("a", 2), ("b", 3), ("b", 2)]),
        (Merged(into="a", other="a", readers=(2,), editor=2), [("a", 2)]),
        (Merged(into="a", other="b"), []),
        (Drafted(article="a", user=1), [("a", 1)]),
        (Drafted(article="a"), []),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_event_names_every_combination_of_what_it_has(event: Event, keys: list[Any]) -> None:
    """Once each, and none if it has nothing for one of the parts; its tags in the log say the same."""
    assert STARS.finder(type(event))(event) == keys
    assert sorted(STARS.named(tagger(type(event))(event))) == sorted(STARS.of(key) for key in keys)


@pytest.mark.parametrize("wrong", ["a1", ["a", 1], ("a",), ("a", 1, 2), None, 5], ids=repr)
def test_what_has_other_parts_is_no_key(wrong: Any) -> None:
    """The text says whose, and what it should be."""
    with pytest.raises(TypeError, match=r"is no key of Star, which is a tuple: \(article, user\)"):
        STARS.check(wrong, "Star")
