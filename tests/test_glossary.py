"""One word for one thing: whatever has a public name is in the glossary, or in the tree of errors."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import twofold
from twofold import errors

GLOSSARY = (Path(__file__).parent.parent / "docs" / "glossary.md").read_text()
WORDS = {word.strip() for row in re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE) for word in row.split(",")}
CLASSES = set(re.findall(r"`(\w+)`", GLOSSARY))


def public_classes() -> Iterator[type]:
    """Yield the classes that the packages offer by name."""
    for found in pkgutil.iter_modules(twofold.__path__, "twofold."):
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) and value.__module__.startswith("twofold."):
                yield value


def is_explained(name: str) -> bool:
    """Say whether the glossary names a class, or has its name as a word."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return name in CLASSES or bool({words, f"{words}s", words.removesuffix("s")} & WORDS)


OFFERED = {each for each in public_classes() if not issubclass(each, BaseException)}


@pytest.mark.parametrize("name", sorted({each.__name__ for each in OFFERED}))
def test_a_public_class_is_in_the_glossary(name: str) -> None:
    """A stranger who meets a name finds what it means here, and what the field calls it."""
    assert is_explained(name)


def test_every_error_is_in_the_tree() -> None:
    """Whoever catches one sees in one docstring what else that catches."""
    offered = {name for name, value in vars(errors).items() if inspect.isclass(value) and not name.startswith("_")}
    assert offered <= set(re.findall(r"\w+", errors.__doc__ or ""))


def test_words_are_explained_once_and_in_order() -> None:
    """It is read like a dictionary."""
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE)
    assert words == sorted(set(words), key=str.lower)
