"""A service of every shape, served from a file over a real socket."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.message_shapes import shapes
from tests.support.serving import served


@pytest.fixture
def http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A client of the service, whose files are in the test's own folder."""
    use_files(tmp_path, monkeypatch)
    with served(shapes) as url, httpx.Client(base_url=url) as client:
        yield client


def use_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have services that start now keep their files in a folder."""
    for name, url in files(folder).items():
        monkeypatch.setenv(name, url)


def files(folder: Path) -> dict[str, str]:
    """Return the settings with which services keep their files in a folder."""
    return {
        "TWOFOLD_LOG": f"sqlite:///{folder}/{{service}}.db",
        "TWOFOLD_VIEWS": f"sqlite:///{folder}/{{service}}-views.db",
    }
