"""Whether all that is written by one schema can be read by another one, and where not, in words that stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from twofold.contracts.options import is_like, is_written_as, options, told
from twofold.contracts.ranges import range_of, range_written

Json: TypeAlias = dict[str, Any]

_NUMBERS = {"integer", "number"}


class Misfit(msgspec.Struct, frozen=True):
    """What may be written at a path and cannot be read, and what can: "text", say, and "a whole number".

    ``is_lost`` says that it is read, and that nothing is made of it.
    """

    path: str
    written: str
    read: str
    is_lost: bool = False


THERE = "there"
MISSING = "missing"


def misfits(
    written: Json, read: Json, written_components: Mapping[str, Json], read_components: Mapping[str, Json]
) -> list[Misfit]:
    """Return where something that is written by one schema cannot be read by another one, or would be lost.

    Only fields that are declared are written. Where a schema does not say enough for it to be certain, as with two patterns,
    what is written is taken for what cannot be read.

    >>> misfits({"type": "number"}, {"type": "integer"}, {}, {})
    [Misfit(path='', written='a number', read='a whole number', is_lost=False)]
    """
    return _Comparison(written_components, read_components).of(written, read, "")


class _Comparison:
    def __init__(self, written: Mapping[str, Json], read: Mapping[str, Json]) -> None:
        self._written = written
        self._read = read
        self._comparing: set[tuple[int, int]] = set()

    def of(self, written: Json, read: Json, path: str) -> list[Misfit]:
        choices, accepted = options(written, self._written), options(read, self._read)
        found = [flaw for each in choices for flaw in self._option(each, choices, accepted, path)]
        return [*dict.fromkeys(found)]

    def _option(self, one: Json, choices: Sequence[Json], accepted: Sequence[Json], path: str) -> list[Misfit]:
        alike = [each for each in accepted if _are_of_one_kind(one, each)]
        tagged = [each for each in alike if not self._are_tagged_differently(one, each)]
        tried = [self._one(one, each, path) for each in tagged]
        for flaws in tried:
            if all(each.is_lost for each in flaws):
                return flaws
        if len(tried) == 1 and "const" not in one and "const" not in tagged[0]:
            return tried[0]
        sometimes = "sometimes " if len(choices) > 1 else ""
        return [Misfit(path, f"{sometimes}{told([one])}", told(accepted))]

    def _are_tagged_differently(self, one: Json, other: Json) -> bool:
        """Say whether two kinds of objects are told from each other by a field that has one value in each."""
        fields, others = one.get("properties", {}), other.get("properties", {})
        for name in fields.keys() & others.keys():
            value, expected = fields[name].get("enum", []), others[name].get("enum", [])
            if len(value) == len(expected) == 1 and value != expected:
                return True
        return False

    def _one(self, one: Json, other: Json, path: str) -> list[Misfit]:
        """Return what does not fit of two options of one kind."""
        if "type" not in other:
            return []
        if "const" in other and ("const" not in one or not _are_same(one["const"], other["const"])):
            return [Misfit(path, told([one]), told([other]))]
        flaws = [Misfit(path, *words) for words in range_written(one).exceeds(range_of(other))]
        match other["type"]:
            case "integer" | "number":
                flaws += _in_steps(one, other, path)
            case "string":
                flaws += _texts(one, other, path)
            case "array" | "object":
                flaws += self._composed(one, other, path)
        return flaws

    def _composed(self, one: Json, other: Json, path: str) -> list[Misfit]:
        # What has itself as a part fits where all else of it does.
        if (pair := (id(one), id(other))) in self._comparing:
            return []
        self._comparing.add(pair)
        parts = self._lists if other["type"] == "array" else self._objects
        found = [*parts(one, other, path)]
        self._comparing.remove(pair)
        return found

    def _lists(self, one: Json, other: Json, path: str) -> Iterator[Misfit]:
        if other.get("uniqueItems") and not one.get("uniqueItems"):
            yield Misfit(path, "a list", "a list without repetitions")
        heads = [each["items"] if isinstance(each.get("items"), list) else [] for each in (one, other)]
        for index in range(max(map(len, heads))):
            item, expected = _item(one, index), _item(other, index)
            if item is not False and expected is not False:
                yield from self.of(item, expected, f"{path}[{index}]")
        rest, expected = _item(one, None), _item(other, None)
        if rest is not False and expected is not False:
            yield from self.of(rest, expected, f"{path}[]")

    def _objects(self, one: Json, other: Json, path: str) -> Iterator[Misfit]:
        fields, known = one.get("properties", {}), other.get("properties", {})
        before = f"{path}." if path else ""
        for name, field in fields.items():
            yield from self._field(field, known.get(name, _others(other)), f"{before}{name}")
        for name in other.get("required", ()):
            if name not in one.get("required", ()):
                is_there = name in fields or isinstance(_others(one), dict)
                yield Misfit(f"{before}{name}", f"sometimes {MISSING}" if is_there else MISSING, THERE)
        if isinstance(others := _others(one), dict):
            yield from self._keys(one, other, path)
            for name in known.keys() - fields.keys():
                yield from self._field(others, known[name], f"{before}{name}")
            yield from self._field(others, _others(other), f"{before}*")

    def _field(self, field: Json, read: Json | bool, path: str) -> Iterator[Misfit]:
        if isinstance(read, dict):
            yield from self.of(field, read, path)
        elif read is False:
            yield Misfit(path, THERE, "left out")
        else:
            yield Misfit(path, THERE, "read by nothing", is_lost=True)

    def _keys(self, one: Json, other: Json, path: str) -> Iterator[Misfit]:
        if names := other.get("propertyNames"):
            yield from self.of(_as_text(one.get("propertyNames", {})), _as_text(names), f"{path}{{}}")


def _are_of_one_kind(one: Json, other: Json) -> bool:
    kind, expected = one.get("type"), other.get("type")
    return expected is None or kind == expected or (kind == "integer" and expected == "number")


def _are_same(value: Any, other: Any) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _in_steps(one: Json, other: Json, path: str) -> Iterator[Misfit]:
    step = other.get("multipleOf")
    given = one.get("const", one.get("multipleOf"))
    if step is not None and (given is None or given % step):
        written = "any number" if given is None else f"a multiple of {given}"
        yield Misfit(path, written, f"a multiple of {step}")


def _texts(one: Json, other: Json, path: str) -> Iterator[Misfit]:
    text = one.get("const")
    for name in ("format", "contentEncoding"):
        expected = other.get(name)
        is_known = isinstance(text, str) and name == "format" and is_written_as(text, str(expected))
        if expected is not None and one.get(name) != expected and not is_known:
            yield Misfit(path, told([one]), told([other]))
    pattern = other.get("pattern")
    if pattern is not None and one.get("pattern") != pattern and not (text is not None and is_like(text, pattern)):
        written = f"text like {one['pattern']}" if "pattern" in one else told([one])
        yield Misfit(path, written, f"text like {pattern}")


def _item(option: Json, index: int | None) -> Any:
    """Return the schema of a list's item, or of those behind all that have one of their own; False if there can be none."""
    items = option.get("items", {})
    if not isinstance(items, list):
        return items
    if index is not None and index < len(items):
        return items[index]
    return {} if (rest := option.get("additionalItems", True)) is True else rest


def _others(option: Json) -> Any:
    """Return the schema of an object's fields that have no names of their own; True if nothing is said of them."""
    if "properties" not in option:
        return option.get("additionalProperties", {})
    return option.get("additionalProperties", True)


def _as_text(names: Json) -> Json:
    return {"type": "string", **names}
