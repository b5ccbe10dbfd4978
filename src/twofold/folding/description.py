"""Describing code and values in words that are the same in every process: no addresses, no order of sets, no line numbers."""

from __future__ import annotations

import copyreg
import dataclasses
import dis
import enum
import functools
import inspect
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any, ForwardRef, NewType, TypeVar, get_args, get_origin

import msgspec
from typing_extensions import TypeAliasType

from twofold.folding.origin import library_of, library_with
from twofold.folding.references import MISSING, references
from twofold.messages import type_hints

_MOST_VALUES = 200_000

_PLAIN = (bool, int, float, complex, str, bytes, bytearray, type(None), type(...), type(NotImplemented))
# What stands for something else, and by which attributes.
_WRAPPERS: dict[type, tuple[str, ...]] = {
    types.MethodType: ("__func__", "__self__"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset", "fdel"),
    functools.cached_property: ("func",),
    type(functools.cache(len)): ("__wrapped__",),
    TypeVar: ("__name__", "__bound__", "__constraints__"),
    NewType: ("__name__", "__supertype__"),
    ForwardRef: ("__forward_arg__",),
    TypeAliasType: ("__name__", "__value__"),
    msgspec.json.Encoder: ("enc_hook", "decimal_format", "uuid_format", "order"),
    msgspec.json.Decoder: ("type", "strict", "dec_hook", "float_hook"),
    msgspec.msgpack.Encoder: ("enc_hook", "decimal_format", "uuid_format", "order"),
    msgspec.msgpack.Decoder: ("type", "strict", "dec_hook", "ext_hook"),
    msgspec.Meta: (
        "gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz", "extra"
    ),
}  # fmt: skip
# What these hold depends on what has run before, and is gone when nobody else has it.
_FLEETING = (weakref.ref, weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType)
# Of a class's members, those that Python makes and that say nothing which is not said otherwise.
_MADE = frozenset({
    "__abstractmethods__", "__annotate__", "__annotate_func__", "__annotations__", "__annotations_cache__",
    "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__", "__firstlineno__", "__match_args__",
    "__module__", "__orig_bases__", "__parameters__", "__qualname__", "__slots__", "__static_attributes__",
    "__weakref__", "_abc_impl", "snapshot_every",
})  # fmt: skip
_MADE_IN_MEMBERS = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})
_MADE_IN_MODULES = frozenset({
    "__annotations__", "__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__",
    "__path__", "__spec__",
})  # fmt: skip
_MADE_PREFIXES = ("__msgspec", "__pydantic", "__struct")
_SIGNATURE_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)
_NAMED = frozenset([*dis.hasname, *dis.haslocal, *dis.hasfree])


class Indescribable(Exception):
    """Something has no description that would be the same in another process; the text says what."""


class Description:
    """Everything that some values depend on, line by line.

    Functions and classes are numbered as they are found, and described once, one after the other: so neither a circle nor a
    long chain of them is a difficulty. Code of libraries is described by name and version, all other code in full.
    """

    def __init__(self, home: str) -> None:
        self._home = home
        self._numbers: dict[int, int] = {}
        self._found: list[Any] = []
        self._within: list[int] = []
        self._values = 0

    def lines(self, roots: Iterable[Any]) -> Iterator[str]:
        """Describe the roots and whatever they lead to.

        Raises:
            Indescribable: something has no description.
        """
        for root in roots:
            yield self.text(root)
        for thing in self._found:  # It grows meanwhile.
            try:
                yield from self._body(thing)
            except Indescribable as error:
                raise Indescribable(f"{error}, in {_name(thing)}") from error

    def text(self, value: Any) -> str:
        """Describe a value; of a function or a class that is just its number.

        Raises:
            Indescribable: it has no description.
        """
        self._values += 1
        if self._values > _MOST_VALUES:
            raise Indescribable(f"more than {_MOST_VALUES} values")
        kind = type(value)
        if kind in _PLAIN:
            return f"{kind.__name__} {value!r}"
        if value is MISSING:
            return "nothing yet"
        if isinstance(value, (FunctionType, type, ModuleType)):
            return self._refer(value)
        if get_origin(value) is not None:
            return f"{self.text(get_origin(value))}[{self._texts(get_args(value))}]"
        if id(value) in self._within:
            return f"the one {len(self._within) - self._within.index(id(value))} above"
        self._within.append(id(value))
        try:
            return self._composed(value)
        finally:
            self._within.pop()

    def _composed(self, value: Any) -> str:
        kind = type(value)
        if wrapped := _WRAPPERS.get(kind):
            return f"{kind.__name__}({self._texts(getattr(value, name) for name in wrapped)})"
        if kind in (tuple, list):
            return f"{kind.__name__}({self._texts(value)})"
        if kind in (dict, types.MappingProxyType):
            return f"dict({self._texts(part for item in value.items() for part in item)})"
        if kind in (set, frozenset):
            return f"{kind.__name__}({self._texts(sorted(value, key=_Named(self._home).text))})"
        if isinstance(value, enum.Enum):
            return f"{self.text(kind)}.{value.name} {self.text(value.value)}"
        if isinstance(value, _FLEETING):
            return kind.__name__
        if isinstance(value, types.BuiltinFunctionType):
            return self._builtin(value)
        return self._reduced(value)

    def _texts(self, values: Iterable[Any]) -> str:
        return ", ".join([self.text(each) for each in values])

    def _builtin(self, function: types.BuiltinFunctionType) -> str:
        """Describe a function in C, with the value that it is a method of."""
        owner = function.__self__
        bound = "" if owner is None or isinstance(owner, ModuleType) else self.text(owner)
        return f"{library_of(_module(function), self._home)} {_name(function)} {bound}"

    def _reduced(self, value: Any) -> str:
        """Describe any other object by what a copy of it would be made of."""
        reducer: Any = copyreg.dispatch_table.get(type(value))
        try:
            reduced = reducer(value) if reducer else value.__reduce_ex__(4)
        except Exception as error:
            raise Indescribable(f"a {_name(type(value))}") from error
        if isinstance(reduced, str):
            return f"{self.text(type(value))} {reduced}"
        make, arguments, *rest = reduced
        parts = [each if index not in (1, 2) or each is None else [*each] for index, each in enumerate(rest)]
        return f"{self.text(type(value))} {self.text(make)}({self._texts([arguments, *parts])})"

    def _refer(self, thing: Any) -> str:
        number = self._numbers.setdefault(id(thing), len(self._found))
        if number == len(self._found):
            self._found.append(thing)
        return f"#{number}"

    # What is numbered, in full.

    def _body(self, thing: Any) -> Iterator[str]:
        module = thing.__name__ if isinstance(thing, ModuleType) else _module(thing)
        library = library_of(module, self._home)
        if library:
            yield f"{library} {_name(thing)}"
        if isinstance(thing, FunctionType):
            yield from self._wrapped(thing) if library else self._function(thing)
        elif library:
            return
        elif isinstance(thing, ModuleType):
            yield from self._members(thing)
        else:
            yield from self._class(thing)

    def _wrapped(self, function: FunctionType) -> Iterator[str]:
        """Describe what a library's function was given: a decorator of the library, and the function that it is put around."""
        for each in [getattr(function, "__wrapped__", None), *map(_content, function.__closure__ or ())]:
            with suppress(Indescribable):
                yield self.text(each)

    def _function(self, function: FunctionType) -> Iterator[str]:
        yield f"{self.text(function.__defaults__)} {self.text(function.__kwdefaults__)} {self.text(vars(function))}"
        yield from self._code(function.__code__)
        for name, value in references(function):
            try:
                yield f"{name}: {self.text(value)}"
            except Indescribable as error:
                library = library_with(name.rpartition(".")[2], value, self._home)
                if not library:
                    raise Indescribable(f"{name} is {error}") from error
                yield f"{name}: {library}"

    def _code(self, code: CodeType) -> Iterator[str]:
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _SIGNATURE_FLAGS)
        yield f"{counts} {code.co_varnames} {code.co_exceptiontable.hex()}"
        for each in dis.get_instructions(code):
            argument = each.argval if each.opcode in _NAMED else each.arg
            if each.opcode in dis.hasconst and each.arg is not None:
                argument = code.co_consts[each.arg]
            if isinstance(argument, CodeType):
                yield from self._code(argument)
            elif each.opname != "EXTENDED_ARG":
                yield f"{each.opname} {self.text(argument)}"

    def _class(self, cls: type) -> Iterator[str]:
        yield f"class {cls.__name__}({self._texts(cls.__bases__)}) {self.text(type(cls))}"
        if issubclass(cls, enum.Enum):
            yield self.text({name: _member(each) for name, each in cls.__members__.items()})
            yield self.text(str(getattr(cls, "_boundary_", None)))
        yield self.text(_hints(cls))
        for field in _fields(cls):
            yield self.text(field)
        yield from self._members(cls)

    def _members(self, owner: Any) -> Iterator[str]:
        for name, member in sorted(vars(owner).items()):
            if _matters(owner, name, member):
                try:
                    yield f"{name}: {self.text(member)}"
                except Indescribable as error:
                    raise Indescribable(f"{name} is {error}") from error


class _Named(Description):
    """Describes functions and classes by their names: so the elements of a set have an order that they bring along."""

    def _refer(self, thing: Any) -> str:
        code = thing.__code__.co_code.hex() if isinstance(thing, FunctionType) else ""
        return f"{_name(thing)} {code}"


def _fields(cls: type) -> Iterator[Any]:
    """Yield what is not to be seen in the members of a class that has fields, and what these start from."""
    if issubclass(cls, msgspec.Struct):
        config = cls.__struct_config__
        yield (config.tag, config.tag_field, config.array_like, config.forbid_unknown_fields, config.omit_defaults)
        yield (config.eq, config.order, config.frozen, config.repr_omit_defaults)
        for field in msgspec.structs.fields(cls):
            yield (field.name, field.encode_name, *map(_default, (field.default, field.default_factory)))
    elif dataclasses.is_dataclass(cls):
        for each in dataclasses.fields(cls):
            yield (each.name, *map(_default, (each.default, each.default_factory)))
    else:
        for name, info in getattr(cls, "__pydantic_fields__", {}).items():
            yield (name, info.alias, *map(_default, (info.default, info.default_factory)), info.metadata)


def _member(each: enum.Enum) -> Any:
    """Return a member's value, and what else was given to it."""
    return each.value, {name: value for name, value in sorted(vars(each).items()) if name not in _MADE_IN_MEMBERS}


def _default(value: Any) -> Any:
    return MISSING if value is msgspec.NODEFAULT or value is dataclasses.MISSING else value


def _hints(cls: type) -> Mapping[str, Any]:
    try:
        return type_hints(cls)
    except Exception:  # A name that is known to type checkers only.
        return dict(vars(cls).get("__annotations__", {}))


def _matters(owner: Any, name: str, member: Any) -> bool:
    if name in _MADE or name.startswith(_MADE_PREFIXES) or isinstance(member, _SLOTS):
        return False
    if isinstance(owner, ModuleType):
        return name not in _MADE_IN_MODULES
    if issubclass(owner, enum.Enum):
        is_made = name[:1] == name[-1:] == "_" and not name.startswith("__") and name != "_missing_"
        return not is_made and name not in owner.__members__ and name != "__new__"
    # What is decided on a state does not change what it was.
    return getattr(member, "__twofold__", None) != "decide"


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _module(thing: Any) -> str:
    """Return where something stands; a decorator that takes the name of what it is put around stands where its code does."""
    found = thing.__globals__.get("__name__") if isinstance(thing, FunctionType) else thing.__module__
    return str(found or "")


def _name(thing: Any) -> str:
    module = getattr(thing, "__module__", None) or ""
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or type(thing).__name__
    return f"{module}.{name}" if module and module != "builtins" else f"{name}"
