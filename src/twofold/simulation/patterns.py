"""Texts that match a pattern."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from re import _constants as codes
from re import _parser as parser
from typing import Any

from twofold.simulation.chance import Chance

_REPEATS = 4
_TRIES = 60
_ANY = "abcxyzABC019_ -"
_CATEGORIES = {
    codes.CATEGORY_DIGIT: "0123456789",
    codes.CATEGORY_NOT_DIGIT: "abcxyzABC_ -",
    codes.CATEGORY_WORD: "abcxyzABC019_",
    codes.CATEGORY_NOT_WORD: " -",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_NOT_SPACE: "abcxyzABC019_-",
}


def text_of(pattern: str, chance: Chance, least: int = 0, most: int | None = None) -> str:
    r"""Return a text that matches a pattern and has so many characters, one of few.

    >>> text_of("^[A-Z]{2}-\\d{3}$", Chance(1, "example"))
    'RX-997'

    Raises:
        TypeError: the pattern looks ahead, behind or back, or has something else of which no text can be made.
    """
    for more in range(_TRIES):
        text = "".join(_texts(_parsed(pattern), chance, _REPEATS + more))
        if re.search(pattern, text) and least <= len(text) and (most is None or len(text) <= most):
            return text
    raise TypeError(f"no text was found that matches {pattern!r} and is as long as it has to be")


@functools.cache
def _parsed(pattern: str) -> Sequence[Any]:
    return [*parser.parse(pattern)]


def _texts(parsed: Iterable[Any], chance: Chance, repeats: int) -> Iterable[str]:
    for operation, argument in parsed:
        yield from _text(operation, argument, chance, repeats)


def _text(operation: Any, argument: Any, chance: Chance, repeats: int) -> Iterable[str]:
    if operation is codes.LITERAL:
        yield chr(argument)
    elif operation is codes.NOT_LITERAL:
        yield chance.pick([each for each in _ANY if each != chr(argument)])
    elif operation is codes.ANY:
        yield chance.pick(_ANY)
    elif operation is codes.IN:
        yield chance.pick(_characters(argument))
    elif operation is codes.BRANCH:
        yield from _texts(chance.pick(argument[1]), chance, repeats)
    elif operation is codes.SUBPATTERN:
        yield from _texts(argument[-1], chance, repeats)
    elif operation in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        low, high, repeated = argument
        for _ in range(low + chance.below(min(int(high), low + repeats) - low + 1)):
            yield from _texts(repeated, chance, repeats)
    elif operation is not codes.AT:
        raise TypeError(f"no text can be made for {str(operation).lower()} in a pattern")


def _characters(allowed: Iterable[Any]) -> list[str]:
    """Return some of the characters that a set in brackets allows."""
    found: dict[str, None] = {}
    negated = False
    for operation, argument in allowed:
        if operation is codes.NEGATE:
            negated = True
        elif operation is codes.LITERAL:
            found[chr(argument)] = None
        elif operation is codes.RANGE:
            found.update(dict.fromkeys(map(chr, range(argument[0], argument[1] + 1))))
        elif operation is codes.CATEGORY and argument in _CATEGORIES:
            found.update(dict.fromkeys(_CATEGORIES[argument]))
        else:
            raise TypeError(f"no text can be made for {str(argument).lower()} in a pattern")
    return [each for each in _ANY if each not in found] if negated else [*found]
