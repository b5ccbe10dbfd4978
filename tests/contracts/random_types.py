"""Random types, each with what may be written of it: enough to find each way in which another type may not read it."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
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

    ``optional`` are the values of which a reader takes more than is written.
    """

    kind: Any
    values: tuple[Any, ...]
    optional: tuple[Any, ...] = ()

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
        Shape(Decimal, ("1.50", "1", "1" * 50), (1, 2.5)),
        Shape(bytes, ("eA==", "", "eHh4" * 50)),
    ]),
    st.lists(st.sampled_from(["p", "q", "r"]), min_size=1, unique=True).map(choices),
)  # fmt: skip
SCALARS = st.one_of(INTEGERS, FLOATS, TEXTS, st.just(Shape(bool, (True, False))))


def lists(item: Shape, shortest: int | None, longest: int | None) -> Shape:
    least = max(shortest or 0, 1)
    values = [[item.ordinary] * least]
    values += [[each] * least for each in item.values]
    values += [[item.ordinary] * (shortest or 0), [item.ordinary] * (9 if longest is None else longest)]
    kind = Annotated[list[item.kind], Meta(min_length=shortest, max_length=longest)]  # type: ignore[name-defined]
    return Shape(kind, tuple(values), tuple([[each] * least for each in item.optional]))


def pairs(first: Shape, second: Shape) -> Shape:
    values = [[each, second.ordinary] for each in first.values] + [[first.ordinary, each] for each in second.values]
    more = [[each, second.ordinary] for each in first.optional] + [[first.ordinary, each] for each in second.optional]
    return Shape(tuple[first.kind, second.kind], tuple(values), tuple(more))  # type: ignore[name-defined]


def mappings(item: Shape) -> Shape:
    def filled(value: Any) -> dict[str, Any]:
        return dict.fromkeys((*NAMES, "other"), value)

    values = ({}, *[filled(each) for each in item.values], *[{name: item.ordinary} for name in NAMES])
    return Shape(dict[str, item.kind], values, tuple(map(filled, item.optional)))  # type: ignore[name-defined]


class Field(msgspec.Struct, frozen=True):
    """A field: it has to be there, or has a default, or may be left out in what is written, too."""

    shape: Shape
    presence: Literal["required", "default", "unset"]


FIELDS = st.sampled_from(["required", "required", "default", "unset"])


def fields(shapes: SearchStrategy[Shape]) -> SearchStrategy[dict[str, Field]]:
    return st.dictionaries(st.sampled_from(NAMES), st.builds(Field, shapes, FIELDS))


def struct(given: dict[str, Field], *, strict: bool = False, tag: str | None = None) -> Shape:
    """Return the shape of a struct with some fields."""
    declared: list[Any] = []
    for name, field in given.items():
        match field.presence:
            case "required":
                declared.append((name, field.shape.kind))
            case "default":
                declared.append((name, field.shape.kind | types.NoneType, None))
            case "unset":
                declared.append((name, field.shape.kind | msgspec.UnsetType, msgspec.UNSET))
    kind = msgspec.defstruct(
        f"Struct{next(_numbers)}", declared, tag=tag, frozen=True, kw_only=True, forbid_unknown_fields=strict
    )
    head = {} if tag is None else {"type": tag}
    values, more = [head | each for each in written(given)], [head | each for each in sent(given)]
    return Shape(kind, tuple(values), tuple(more))


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
    kind = shapes[0].kind
    for shape in shapes[1:]:
        kind |= shape.kind
    values = [value for shape in shapes for value in shape.values]
    return Shape(kind, tuple(values), tuple([value for shape in shapes for value in shape.optional]))


NULL = Shape(None, (None,))


def composed(inner: SearchStrategy[Shape]) -> SearchStrategy[Shape]:
    lengths = st.builds(lists, inner, st.sampled_from([None, 1, 2]), st.sampled_from([None, 2, 3]))
    objects = st.builds(struct, fields(inner), strict=st.booleans())
    return st.one_of(
        lengths,
        st.builds(pairs, inner, inner),
        objects,
        inner.map(mappings),
        st.builds(lambda one: either(one, NULL), st.one_of(SCALARS, lengths, objects)),
        # What is a whole number and what is a decimal is not told from each other.
        st.builds(either, INTEGERS, TEXTS.filter(lambda each: each.kind is not Decimal)),
        st.builds(lambda *each: either(*each, NULL), lengths, INTEGERS),
        st.lists(st.sampled_from(["one", "two", "three"]), min_size=2, unique=True).flatmap(
            lambda tags: st.tuples(*[st.builds(struct, fields(inner), tag=st.just(tag)) for tag in tags]).map(
                lambda shapes: either(*shapes)
            )
        ),
    )


SHAPES = st.recursive(SCALARS, composed, max_leaves=6)
