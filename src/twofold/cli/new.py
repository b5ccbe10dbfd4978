"""``twofold new``: a project to begin with, from the templates beside this module."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import click

from twofold.cli.target import Complaint

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FILES = {
    "pyproject.txt": "pyproject.toml",
    "readme.txt": "README.md",
    "makefile.txt": "Makefile",
    "gitignore.txt": ".gitignore",
    "package.txt": "{name}/__init__.py",
    "service.txt": "{name}/service.py",
    "app.txt": "{name}/app.py",
    "test_service.txt": "tests/test_{name}.py",
}
_USED_IN_TEMPLATES = {"answer", "app", "decide", "evolve", "replace", "notes_on", "tests"}


@click.command(short_help="Begin a project.")
@click.argument("name")
def new(name: str) -> None:
    """Begin a project in the new folder NAME: a service that runs, and a test that passes."""
    folder = Path(name)
    _check(name, folder)
    try:
        _write(folder, name)
    except OSError as error:
        raise Complaint(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    click.echo(f"{name}/ is ready.\n\n  cd {name}\n  make test\n  make run\n")


def _check(name: str, folder: Path) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise Complaint(
            f"{name!r} cannot name a Python package. Use lower-case letters, digits and '_', such as my_shop."
        )
    if folder.exists() or folder.is_symlink():
        raise Complaint(f"{name} is there already, and nothing was changed. Choose another name or another folder.")
    if name in _USED_IN_TEMPLATES or find_spec(name) is not None:
        raise Complaint(
            f"{name!r} is the name of a module that the project itself needs or would hide. Choose another."
        )


def _write(folder: Path, name: str) -> None:
    for template, file in _FILES.items():
        text = files("twofold.cli").joinpath("templates", template).read_text(encoding="utf-8")
        path = folder / file.format(name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{{name}}", name), encoding="utf-8")
