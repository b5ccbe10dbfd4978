"""Where something is declared, for a person who has to go there."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any


def source_location(declared: Any) -> str:
    """Return a function's or class's name with its file and line; of something else, what it is."""
    if inspect.isfunction(declared):
        function = inspect.unwrap(declared)
        code = getattr(function, "__code__", None)
        line = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        return f"{function.__module__}.{function.__qualname__}{line}"
    if isinstance(declared, type):
        return f"{declared.__module__}.{declared.__qualname__}{_line_of(declared)}"
    return repr(declared)


def _line_of(cls: type) -> str:
    try:
        return f" ({inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]})"
    except (OSError, TypeError):
        return ""


def class_location(class_name: str, namespace: Mapping[str, Any]) -> str:
    """Return the location of a class that is being made: its statement is the one that its module is at now."""
    module = namespace.get("__module__")
    if module is None:
        return class_name
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") != module:
        frame = frame.f_back
    line = f" ({frame.f_code.co_filename}:{frame.f_lineno})" if frame.f_globals.get("__name__") == module else ""
    return f"{module}.{namespace.get('__qualname__', class_name)}{line}"
