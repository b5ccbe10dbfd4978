"""Packages as pip would have installed them."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that installs a package for a test: its name, its code, what it requires, what it registers.

    Its one module has the package's name, with underscores.
    """
    imported = set(sys.modules)

    def install(name: str, code: str = "", *, requires: str = "", **groups: str) -> None:
        folder, module = tmp_path / f"installed-{name}", name.replace("-", "_")
        metadata = folder / f"{module}-1.5.dist-info"
        metadata.mkdir(parents=True)
        metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{requires}\n")
        entries = [f"[twofold.{group}]\n{entry}\n" for group, entry in groups.items()]
        metadata.joinpath("entry_points.txt").write_text("\n".join(entries))
        if code:
            folder.joinpath(f"{module}.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(folder)

    yield install
    for name in set(sys.modules) - imported:
        if (sys.modules[name].__file__ or "").startswith(str(tmp_path)):
            del sys.modules[name]
