"""A new project from the templates beside this module."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click

from twofold.cli.target import Complaint

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "readme.md.txt": "README.md",
    "makefile.txt": "Makefile",
    "gitignore.txt": ".gitignore",
    "service.py.txt": "{name}.py",
    "test_service.py.txt": "test_{name}.py",
}


def create(name: str) -> None:
    """Write the project's files into a new folder."""
    if not _NAME.fullmatch(name):
        raise Complaint(f"{name!r} cannot name a module: use lower-case letters, digits and '_'.")
    folder = Path(name)
    if folder.exists():
        raise Complaint(f"{folder} exists already. Choose another name, or another folder to do this in.")
    folder.mkdir()
    for template, file in _FILES.items():
        text = files("twofold.cli").joinpath("templates", template).read_text(encoding="utf-8")
        (folder / file.format(name=name)).write_text(text.replace("{{name}}", name), encoding="utf-8")
    click.echo(f"{name}/ is ready:\n\n  cd {name}\n  make test\n  make run\n")
