"""Making the classes of messages and states: what their bodies say and cannot mean is found while they are made."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twofold.errors import DeclarationError
from twofold.messages.locations import class_location

_LONGEST_NAME = 200
_SEPARATORS = frozenset("/\\?#%:,;\"' ")
_SERVICE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_LONGEST_SERVICE_NAME = 63


def struct_class(
    make: Callable[..., Any],
    class_name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    config: dict[str, Any],
) -> Any:
    """Make a frozen struct with keyword-only fields.

    Raises:
        DeclarationError: it cannot be made, or its body has what looks like a field and is none.
    """
    options = {"frozen": True, "kw_only": True, **config}
    try:
        cls = make(class_name, bases, namespace, **options)
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"{class_location(class_name, namespace)}: {error}") from error
    for flaw in (*_config_flaws(options), *_body_flaws(cls, bases, namespace)):
        raise DeclarationError(f"{class_location(class_name, namespace)}: {flaw}")
    return cls


def _config_flaws(options: Mapping[str, Any]) -> Iterator[str]:
    if not options["frozen"]:
        yield "frozen=False would let what was said be changed afterwards. Leave it out; replace(…) makes a changed copy."
    if options.get("eq") is False:
        yield "eq=False: it is compared by value. Leave eq= out."


def _body_flaws(cls: Any, bases: tuple[type, ...], namespace: Mapping[str, Any]) -> Iterator[str]:
    annotated = inspect.get_annotations(cls)
    inherited = {name for base in bases for name in getattr(base, "__struct_fields__", ())}
    attributes = {name for base in bases for each in base.__mro__ for name in vars(each)} - inherited
    for name in annotated:
        if name in cls.__struct_fields__ and name in attributes:
            yield f"its field {name!r} has the name of something else that the class has. Give the field another name."
    for name, value in namespace.items():
        if name.startswith("__") and name.endswith("__"):
            continue
        if name in annotated:
            if name in cls.__struct_fields__ and inspect.isroutine(value):
                yield f"{name!r} is both a field and a method. Give one of them another name."
        elif name in inherited:
            yield f"{name!r} is a field of its base class, which this would hide. Give it another name, or annotate it."
        elif not (name in attributes or name.isupper() or callable(value) or hasattr(type(value), "__get__")):
            kind = type(value).__name__
            yield (
                f"{name} = {value!r} has no annotation, and so is not a field. Write {name}: {kind} = {value!r}; or, if every "
                f"instance has the same, {name}: ClassVar[{kind}] = {value!r}."
            )


def check_version(version: Any, location: Callable[[], str]) -> None:
    """Check that a version is a whole number from 1 on.

    Raises:
        DeclarationError: it is not.
    """
    if type(version) is not int or version < 1:
        raise DeclarationError(
            f"{location()}: version={version!r} is not a version; versions start at 1 and are whole numbers."
        )


def check_name(name: Any, location: Callable[[], str]) -> None:
    """Check that a name can be kept in every log, and be part of a path.

    Raises:
        DeclarationError: it cannot.
    """
    is_plain = isinstance(name, str) and name.isprintable() and not _SEPARATORS & {*name} and name.strip(".")
    if not is_plain or len(name) > _LONGEST_NAME:
        raise DeclarationError(
            f"{location()}: name={name!r} is not a name: write letters, digits, '_', '-' and '.', at most {_LONGEST_NAME}; "
            "what separates names, such as a slash, a colon or a space, is in none."
        )


def service_name_flaw(name: Any) -> str:
    """Return what keeps a name from being a service's name; '' if nothing does."""
    if not isinstance(name, str) or not _SERVICE_NAME.fullmatch(name):
        return "a service's name is lower-case letters, digits, '-' and '_'."
    if len(name) > _LONGEST_SERVICE_NAME:
        return f"a service's name has at most {_LONGEST_SERVICE_NAME} characters."
    return ""
