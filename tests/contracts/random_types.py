"""Random types, each with what may be written of it: enough to find each way in which another type may not read it."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from twofold import Meta

NAMES = ("a", "b", "c")

_numbers = itertools.count(1)


class Shape(msgspec.Struct, frozen=True):
    """A type, with values of it as JSON has them, the first of which is an ordinary one.

    ``optional`` are values that a reader takes, and that are not written. ``consumer`` is the type of somebody who counts on
    all that is written, if that is another one.
    """

    kind: Any
    values: tuple[Any, ...]
    optional: tuple[Any, ...] = ()
    consumer: Any = None

    @property
    def read(self) -> Any:
        """The type of somebody who counts on all that is written."""
        return self.kind if self.consumer is None else self.consumer

    @property
    def ordinary(self) -> Any:
        """A value like most of them."""
        return self.values[0]


def numbers(least: int | None, most: int | None) -> Shape:
    values = (-999_999 if least is None else least, 999_999 if most is None else most)
    return Shape(Annotated[int, Meta(ge=least, le=most)], values)


def multiples(step: int) -> Shape:
    return Shape(Annotated[int, Meta(multiple_of=step)], (step, step * 999_999, step * -999_999))


def texts(shortest: int | None, longest: int | None) -> Shape:
    # No text but the empty one is also bytes in base64, a number or a date.
    values = ["?" * (shortest or 0), "?" * (longest if longest is not None else 50), "?" * max(shortest or 0, 1)]
    return Shape(Annotated[str, Meta(min_length=shortest, max_length=longest)], (values[2], *values))


def choices(values: Sequence[Any]) -> Shape:
    return Shape(Literal[tuple(values)], tuple(values))


BOUNDS = st.sampled_from([None, 0, 1, 5])
INTEGERS = st.one_of(
    st.builds(numbers, BOUNDS, st.sampled_from([None, 5, 9])),
    st.builds(multiples, st.sampled_from([2, 4])),
    st.lists(st.sampled_from([1, 2, 3]), min_size=1, unique=True).map(choices),
)
FLOATS = st.sampled_from([
    Shape(float, (1.5, -1e9, 2)),
    Shape(Annotated[float, Meta(gt=1)], (1.5, 1.000001, 1e9)),
    Shape(Annotated[float, Meta(ge=1)], (1.5, 1.0, 1e9)),
])  # fmt: skip
AWARE, NAIVE = "2030-01-31T12:00:00Z", "2030-01-31T12:00:00"
TEXTS = st.one_of(
    st.builds(texts, st.sampled_from([None, 1, 2]), st.sampled_from([None, 2, 5])),
    st.sampled_from([
        Shape(Annotated[str, Meta(pattern="^x*$")], ("x", "", "x" * 50)),
        Shape(Annotated[str, Meta(pattern="^y*$")], ("y", "", "y" * 50)),
        Shape(date, ("2030-01-31",)),
        Shape(datetime, (AWARE, NAIVE)),
        Shape(Annotated[datetime, Meta(tz=True)], (AWARE,)),
        Shape(Annotated[datetime, Meta(tz=False)], (NAIVE,)),
        Shape(time, ("12:00:00", "12:00:00Z")),
        Shape(Annotated[time, Meta(tz=True)], ("12:00:00Z",)),
        Shape(UUID, ("0197b5a4-3c1e-7d3a-9d4f-6c8b5a2e1f00",)),
        Shape(bytes, ("eA==", "", "eHh4" * 50)),
    ]),
    st.lists(st.sampled_from(["p", "q", "r"]), min_size=1, unique=True).map(choices),
)  # fmt: skip
DECIMALS = st.just(Shape(Decimal, ("1.50", "1", "1" * 50), (1, 2.5)))
SCALARS = st.one_of(INTEGERS, FLOATS, TEXTS, st.just(Shape(bool, (True, False))))


def lists(item: Shape, shortest: int | None, longest: int | None) -> Shape:
    least = max(shortest or 0, 1)
    values = [[item.ordinary] * least]
    values += [[each] * least for each in item.values]
    values += [[item.ordinary] * (shortest or 0), [item.ordinary] * (9 if longest is None else longest)]
    length = Meta(min_length=shortest, max_length=longest)
    kinds: list[Any] = [Annotated[list[item.kind], length], Annotated[list[item.read], length]]  # type: ignore[name-defined]
    return Shape(kinds[0], tuple(values), tuple([[each] * least for each in item.optional]), kinds[1])


def pairs(first: Shape, second: Shape) -> Shape:
    values = [[each, second.ordinary] for each in first.values] + [[first.ordinary, each] for each in second.values]
    more = [[each, second.ordinary] for each in first.optional] + [[first.ordinary, each] for each in second.optional]
    kinds: list[Any] = [tuple[first.kind, second.kind], tuple[first.read, second.read]]  # type: ignore[name-defined]
    return Shape(kinds[0], tuple(values), tuple(more), kinds[1])


def mappings(item: Shape) -> Shape:
    def filled(value: Any) -> dict[str, Any]:
        return dict.fromkeys((*NAMES, "other"), value)

    values = ({}, *[filled(each) for each in item.values], *[{name: item.ordinary} for name in NAMES])
    kinds: list[Any] = [dict[str, item.kind], dict[str, item.read]]  # type: ignore[name-defined]
    return Shape(kinds[0], values, tuple(map(filled, item.optional)), kinds[1])


class Field(msgspec.Struct, frozen=True):
    """A field: it has to be there, or has a default, or may be left out in what is written, too."""

    shape: Shape
    presence: Literal["required", "default", "unset"]


FIELDS = st.sampled_from(["required", "required", "default", "unset"])


def fields(shapes: SearchStrategy[Shape]) -> SearchStrategy[dict[str, Field]]:
    return st.dictionaries(st.sampled_from(NAMES), st.builds(Field, shapes, FIELDS))


def declared(given: dict[str, Field]) -> dict[str, Any]:
    """Return the body of a class with some fields."""
    hints: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for name, field in given.items():
        hints[name] = field.shape.kind
        if field.presence == "default":
            hints[name], defaults[name] = field.shape.kind | types.NoneType, None
        if field.presence == "unset":
            hints[name], defaults[name] = field.shape.kind | msgspec.UnsetType, msgspec.UNSET
    return {"__module__": __name__, "__annotations__": hints, **defaults}


def struct(given: dict[str, Field], *, strict: bool = False, tag: str | None = None) -> Shape:
    """Return the shape of a struct with some fields."""
    body = declared(given)
    own = [(name, hint, *([body[name]] if name in body else [])) for name, hint in body["__annotations__"].items()]
    others = [consumed(name, field) for name, field in given.items()]
    kind, consumer = [
        msgspec.defstruct(f"Struct{next(_numbers)}", each, tag=tag, kw_only=True, forbid_unknown_fields=is_strict)
        for each, is_strict in ((own, strict), (others, False))
    ]
    head = {} if tag is None else {"type": tag}
    values, more = [head | each for each in written(given)], [head | each for each in sent(given)]
    return Shape(kind, tuple(values), tuple(more), consumer)


def consumed(name: str, field: Field) -> Any:
    """Return a field of somebody who counts on all that is written."""
    match field.presence:
        case "unset":
            return name, field.shape.read | msgspec.UnsetType, msgspec.UNSET
        case "default":
            return name, field.shape.read | types.NoneType
    return name, field.shape.read


def written(given: dict[str, Field]) -> Iterator[dict[str, Any]]:
    """Yield what may be written of fields: one of them after the other with each value that it may have."""
    ordinary = {name: field.shape.ordinary for name, field in given.items()}
    yield ordinary
    for name, field in given.items():
        for value in field.shape.values:
            yield ordinary | {name: value}
        if field.presence == "default":
            yield ordinary | {name: None}
        if field.presence == "unset":
            yield without(ordinary, name)


def sent(given: dict[str, Field]) -> Iterator[dict[str, Any]]:
    """Yield what a reader takes besides."""
    ordinary = {name: field.shape.ordinary for name, field in given.items()}
    for name, field in given.items():
        yield from [ordinary | {name: value} for value in field.shape.optional]
        if field.presence == "default":
            yield without(ordinary, name)


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in values.items() if each != name}


def either(*shapes: Shape) -> Shape:
    """Return the shape of a union, of which JSON tells which one a value is."""
    values = [value for shape in shapes for value in shape.values]
    more = [value for shape in shapes for value in shape.optional]
    kind, consumer = reduce(or_, [shape.kind for shape in shapes]), reduce(or_, [shape.read for shape in shapes])
    return Shape(kind, tuple(values), tuple(more), consumer)


NULL = Shape(None, (None,))


def composed(scalars: SearchStrategy[Shape], inner: SearchStrategy[Shape]) -> SearchStrategy[Shape]:
    lengths = st.builds(lists, inner, st.sampled_from([None, 1, 2]), st.sampled_from([None, 2, 3]))
    objects = st.builds(struct, fields(inner), strict=st.booleans())
    tags = st.lists(st.sampled_from(["one", "two", "three"]), min_size=2, unique=True)
    return st.one_of(
        lengths,
        st.builds(pairs, inner, inner),
        objects,
        inner.map(mappings),
        st.builds(lambda one: either(one, NULL), st.one_of(scalars, lengths, objects)),
        # What is a whole number and what is a decimal is not told from each other.
        st.builds(either, INTEGERS, TEXTS),
        st.builds(lambda *each: either(*each, NULL), lengths, INTEGERS),
        tags.flatmap(lambda several: st.tuples(*[tagged(each, inner) for each in several])).map(
            lambda found: either(*found)
        ),
    )


def tagged(tag: str, inner: SearchStrategy[Shape]) -> SearchStrategy[Shape]:
    return st.builds(struct, fields(inner), tag=st.just(tag))


def shapes(scalars: SearchStrategy[Shape]) -> SearchStrategy[Shape]:
    return st.recursive(scalars, partial(composed, scalars), max_leaves=6)


SHAPES = shapes(SCALARS)
WITH_DECIMALS = shapes(st.one_of(SCALARS, DECIMALS))
