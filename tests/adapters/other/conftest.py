"""A package that is installed beside Twofold: it is on the path, and all that is known of it is what its metadata says."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# It is imported by its own name, and not as a part of the tests.
collect_ignore = ["other_database"]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the package for a test, and let go of what it holds."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield
    if views := sys.modules.get("other_database.views"):
        views.forget_all()
    for name in [name for name in sys.modules if name.startswith("other_database")]:
        del sys.modules[name]
