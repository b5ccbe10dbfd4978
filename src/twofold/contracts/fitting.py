"""Whether all that is written by one schema can be read by another one, and where not, in words that stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from twofold.contracts.options import is_like, is_written_as, options, told
from twofold.contracts.ranges import range_of, range_written

Json: TypeAlias = dict[str, Any]


class Misfit(msgspec.Struct, frozen=True):
    """What may be written at a path and cannot be read, and what can: "text", say, and "a whole number".

    ``is_lost`` says that it is read, and that nothing is made of it. ``place`` is where in the schemas it is, by whichever
    path.
    """

    path: str
    written: str
    read: str
    is_lost: bool = False
    place: tuple[int | str, ...] = ()


THERE = "there"
MISSING = "missing"


def misfits(
    written: Json, read: Json, written_components: Mapping[str, Json], read_components: Mapping[str, Json]
) -> list[Misfit]:
    """Return where something that is written by one schema cannot be read by another one, or would be lost.

    Each is told once, by the shortest path that leads to it. Only fields that are declared are written. Where a schema does
    not say enough for it to be certain, as with two patterns, what is written is taken for what cannot be read.

    >>> misfits({"type": "number"}, {"type": "integer"}, {}, {})
    [Misfit(path='', written='a number', read='a whole number', is_lost=False, place=())]
    """
    return _Comparison(written_components, read_components).of(written, read)


class _Comparison:
    """Compares two schemas part by part; the paths that it returns begin at the part."""

    def __init__(self, written: Mapping[str, Json], read: Mapping[str, Json]) -> None:
        self._written = written
        self._read = read
        # What has itself as a part fits where all else of it does: it is taken to fit until something is found that does not.
        self._fitting: set[tuple[int, int]] = set()
        self._misfits: dict[tuple[int, int], list[Misfit]] = {}

    def of(self, written: Json, read: Json) -> list[Misfit]:
        choices, accepted = options(written, self._written), options(read, self._read)
        found = [flaw for each in choices for flaw in self._option(each, choices, accepted)]
        return [*dict.fromkeys(found)]

    def _option(self, one: Json, choices: Sequence[Json], accepted: Sequence[Json]) -> list[Misfit]:
        alike = [each for each in accepted if _are_of_one_kind(one, each) and not _are_tagged_differently(one, each)]
        tried = [self._one(one, each) for each in alike]
        if readable := [flaws for flaws in tried if _can_be_read(flaws)]:
            return min(readable, key=len)
        if len(tried) == 1 and "const" not in one and "const" not in alike[0]:
            return tried[0]
        sometimes = "sometimes " if len(choices) > 1 else ""
        return [Misfit("", f"{sometimes}{told([one])}", told(accepted))]

    def _one(self, one: Json, other: Json) -> list[Misfit]:
        """Return what does not fit of two options of one kind."""
        if "type" not in other:
            return []
        if "const" in other and ("const" not in one or not _are_same(one["const"], other["const"])):
            return [Misfit("", told([one]), told([other]))]
        flaws = [Misfit("", *words) for words in range_written(one).exceeds(range_of(other))]
        match other["type"]:
            case "integer" | "number":
                flaws += _in_steps(one, other)
            case "string":
                flaws += _texts(one, other)
            case "array" | "object":
                flaws += self._composed(one, other)
        return flaws

    def _composed(self, one: Json, other: Json) -> list[Misfit]:
        pair = id(one), id(other)
        if pair in self._fitting or pair in self._misfits:
            return self._misfits.get(pair, [])
        fitted = {*self._fitting}
        self._fitting.add(pair)
        found = _once(pair, (self._lists if other["type"] == "array" else self._objects)(one, other))
        if not _can_be_read(found):
            # What was found to fit because this does, may not.
            self._fitting = fitted
            self._misfits[pair] = found
        return found

    def _lists(self, one: Json, other: Json) -> Iterator[Misfit]:
        if other.get("uniqueItems") and not one.get("uniqueItems"):
            yield Misfit("", "a list", "a list without repetitions")
        heads = [each["items"] if isinstance(each.get("items"), list) else [] for each in (one, other)]
        for index in [*range(max(map(len, heads))), None]:
            item, expected = _item(one, index), _item(other, index)
            if item is not False and expected is not False:
                yield from _at("[]" if index is None else f"[{index}]", self.of(item, expected))

    def _objects(self, one: Json, other: Json) -> Iterator[Misfit]:
        fields, known = one.get("properties", {}), other.get("properties", {})
        for name, field in fields.items():
            yield from self._field(name, field, known.get(name, _others(other)))
        for name in other.get("required", ()):
            if name not in one.get("required", ()):
                is_there = name in fields or isinstance(_others(one), dict)
                yield Misfit(name, f"sometimes {MISSING}" if is_there else MISSING, THERE)
        if isinstance(others := _others(one), dict):
            names = _as_text(one.get("propertyNames", {})), _as_text(other.get("propertyNames", {}))
            yield from _at("{}", self.of(*names))
            for name in known:
                if name not in fields:
                    yield from self._field(name, others, known[name])
            yield from self._field("*", others, _others(other))

    def _field(self, name: str, field: Json, read: Json | bool) -> Iterator[Misfit]:
        if isinstance(read, dict):
            yield from _at(name, self.of(field, read))
        elif read is False:
            yield Misfit(name, THERE, "left out")
        else:
            yield Misfit(name, THERE, "read by nothing", is_lost=True)


def _once(pair: tuple[int, int], flaws: Iterable[Misfit]) -> list[Misfit]:
    """Return what was found of a pair's parts, each by the shortest path that leads to it."""
    found: dict[Any, Misfit] = {}
    for flaw in flaws:
        placed = flaw if flaw.place else msgspec.structs.replace(flaw, place=(*pair, flaw.path))
        known = found.setdefault((placed.place, flaw.written, flaw.read), placed)
        if len(flaw.path) < len(known.path):
            found[placed.place, flaw.written, flaw.read] = placed
    return [*found.values()]


def _can_be_read(flaws: Iterable[Misfit]) -> bool:
    return all(each.is_lost for each in flaws)


def _at(step: str, flaws: Iterable[Misfit]) -> Iterator[Misfit]:
    """Yield what was found of a part, with the path that begins one step before."""
    for flaw in flaws:
        between = "" if not flaw.path or flaw.path[0] in "[{" else "."
        yield msgspec.structs.replace(flaw, path=f"{step}{between}{flaw.path}")


def _are_tagged_differently(one: Json, other: Json) -> bool:
    """Say whether two kinds of objects are told from each other by a field that has one value in each."""
    fields, others = one.get("properties", {}), other.get("properties", {})
    for name in fields.keys() & others.keys():
        value, expected = fields[name].get("enum", []), others[name].get("enum", [])
        if len(value) == len(expected) == 1 and value != expected:
            return True
    return False


def _are_of_one_kind(one: Json, other: Json) -> bool:
    kind, expected = one.get("type"), other.get("type")
    return expected is None or kind == expected or (kind == "integer" and expected == "number")


def _are_same(value: Any, other: Any) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _in_steps(one: Json, other: Json) -> Iterator[Misfit]:
    step = other.get("multipleOf")
    given = one.get("const", one.get("multipleOf"))
    if step is not None and (given is None or given % step):
        written = "any number" if given is None else f"a multiple of {given}"
        yield Misfit("", written, f"a multiple of {step}")


def _texts(one: Json, other: Json) -> Iterator[Misfit]:
    text = one.get("const")
    for name in ("format", "contentEncoding"):
        expected = other.get(name)
        is_known = isinstance(text, str) and name == "format" and is_written_as(text, str(expected))
        if expected is not None and one.get(name) != expected and not is_known:
            yield Misfit("", told([one]), told([other]))
    pattern = other.get("pattern")
    if pattern is not None and one.get("pattern") != pattern and not (text is not None and is_like(text, pattern)):
        written = f"text like {one['pattern']}" if "pattern" in one else told([one])
        yield Misfit("", written, f"text like {pattern}")


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
