"""Composite keys that cannot work are refused where they are declared, with what to do instead."""

from collections.abc import Callable
from types import new_class
from typing import Annotated, Any, Self

import pytest

from twofold import Aggregate, Event, Service, Tag, View, evolve
from twofold.errors import DeclarationError
from twofold.views import layout

ArticleId = Annotated[str, Tag("article")]
UserId = Annotated[str, Tag("user")]


class Starred(Event):
    article: ArticleId
    user: UserId


class ArticleDeleted(Event):
    article: ArticleId


class RenamedByNumber(Event):
    article: ArticleId
    user: Annotated[int, Tag("user")]


class Star(View, key=(ArticleId, UserId)):
    @evolve
    def starred(self, event: Starred) -> Self:
        return self


class Deleting(Star):
    @evolve
    def deleted(self, event: ArticleDeleted) -> Self | None:
        return None


class Numbered(Star):
    @evolve
    def renamed(self, event: RenamedByNumber) -> Self:
        return self


def odd(key: Any, base: Any = View, **body: Any) -> Any:
    return new_class("Odd", (base,), {"key": key}, lambda namespace: namespace.update(body, __module__=__name__))


CASES: list[tuple[str, Callable[[], Any], str]] = [
    (
        "a part of it",
        lambda: Service("s", views=[Deleting]),
        r"deleted \(.*\): ArticleDeleted has .*'user'.*Only article",
    ),
    (
        "how then",
        lambda: Service("s", views=[Deleting]),
        r"@project\(Deleting\).*delete_where\(.*\.c\.article == event",
    ),
    ("another type", lambda: Service("s", views=[Numbered]), r"RenamedByNumber\.user is of type int.*of type str"),
    ("one tag twice", lambda: odd((UserId, UserId)), r"Odd.*has the tag 'user' twice.*Tag\('other_user'\)"),
    ("one name twice", lambda: odd((UserId, Annotated[int, Tag("a b")], Annotated[int, Tag("a-b")])), "be called a_b"),
    ("one part", lambda: odd((UserId,)), r"has 2 to 5, and this one has 1\. For one alone write key=ArticleId"),
    ("no part", lambda: odd(()), r"has 2 to 5, and this one has 0"),
    ("six", lambda: odd(tuple([Annotated[int, Tag(f"t{n}")] for n in range(6)])), r"has 2 to 5, and this one has 6"),
    (
        "a list",
        lambda: odd([ArticleId, UserId]),
        r"key=\[.*\] is no tuple of identities\. Write key=\(ArticleId, UserId\)",
    ),
    ("a tuple's type", lambda: odd(tuple[ArticleId, UserId]), r"key=tuple\[.*\] is no tuple of identities"),
    ("no identity", lambda: odd((ArticleId, str)), r"key=<class 'str'> is not an identity"),
    ("a float", lambda: odd((ArticleId, Annotated[float, Tag("user")])), r"Odd\(key=…\) is an identity and a float"),
    (
        "a field",
        lambda: odd((ArticleId, UserId), __annotations__={"user": str}, user=""),
        r"'user' is a part of the key",
    ),
    (
        "a method",
        lambda: odd((ArticleId, UserId), user=lambda self: ""),
        r"'user' is a part of the key and something else",
    ),
    ("the key", lambda: odd((ArticleId, Annotated[int, Tag("key")])), r"'key' is a part of the key and something else"),
    ("another key", lambda: odd(ArticleId, Star), r"Odd.*has a composite key already"),
    ("an aggregate", lambda: odd((ArticleId, UserId), Aggregate), r"Odd.*only views are found by several identities"),
]


@pytest.mark.parametrize(("declare", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_cannot_be_a_composite_key_is_said_where_it_is_declared(declare: Callable[[], Any], says: str) -> None:
    """The text names the class, and what to declare instead."""
    with pytest.raises(DeclarationError, match=f"(?s){says}"):
        declare()


def test_each_part_is_an_attribute_and_a_column() -> None:
    """Called as its tag is, made a name of Python's; the key itself is all of them."""
    line = odd((ArticleId, Annotated[int, Tag("order-line")], Annotated[int, Tag("class")]))
    row = line(key=("a", 7, 8))
    assert (row.key, row.article, row.order_line, row.class_) == (("a", 7, 8), "a", 7, 8)
    assert [column.name for column in layout(line).columns] == ["article", "order_line", "class_"]
    assert [column.name for column in line.c] == ["article", "order_line", "class_"]


def test_a_view_that_is_derived_from_one_has_its_key() -> None:
    """With all parts, and a table of its own."""
    row: Any = Deleting(key=("a", "ann"))
    assert (row.article, row.user, layout(Deleting).table) == ("a", "ann", "deleting_v1")


def test_what_a_base_looks_at_is_looked_at_still() -> None:
    """A class without a key of its own may say what its rows have to be."""

    class Counted(View):
        count: int = 0

        def __post_init__(self) -> None:
            if self.count < 0:
                raise ValueError("less than none")

    counted = odd((ArticleId, UserId), Counted)
    assert counted(key=("a", "ann"), count=1).count == 1
    with pytest.raises(ValueError, match="less than none"):
        counted(key=("a", "ann"), count=-1)
    with pytest.raises(TypeError, match="is no key of Odd"):
        counted(key="a", count=1)


@pytest.mark.parametrize("key", ["a1", ("a",), ("a", "b", "c"), ["a", "b"]], ids=repr)
def test_a_row_has_all_parts_of_its_key(key: Any) -> None:
    """It is made with a tuple of so many, or not at all."""
    with pytest.raises(TypeError, match=r"is no key of Star, which is a tuple: \(article, user\)"):
        Star(key=key)
