"""The direction of imports: down the list of the architecture, never up."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "twofold"

LAYERS = [
    {"errors", "clock", "urls", "backoff", "limits"},
    {"messages"},
    {"log"},
    {"folding"},
    {"commands"},
    {"followers"},
    {"views"},
    {"processes"},
    {"messaging"},
    {"service"},
    {"telemetry"},
    {"http", "cli", "console"},
    {"adapters"},
    {"testing"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}

# The edges speak to `service` only, and adapters to ports: neither to each other.
NOT_EACH_OTHER = [{"http", "adapters"}, {"cli", "adapters"}, {"console", "adapters"}]


def imported_parts(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "twofold":
                names = [f"twofold.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("twofold."):
                yield name.split(".")[1]


def modules() -> list[Path]:
    return [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if path != SOURCE / "__init__.py" and "templates" not in path.parts
    ]


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_stands_above_it_in_the_list(module: Path) -> None:
    """Imports go one way, so that every part can be read and tested without those built on it."""
    part = module.relative_to(SOURCE).parts[0].removesuffix(".py")
    for imported in imported_parts(module):
        if imported in RANK:
            assert RANK[imported] <= RANK[part], f"{module}: {part} must not import {imported}"
            assert {part, imported} not in NOT_EACH_OTHER, f"{module}: {part} must not import {imported}"


# What goes into a log is made in one place, so that the log can give back whatever is in it.
MAKES_EVENTS = {"log/recorder.py"}


def test_events_for_a_log_are_made_by_the_recorder_alone() -> None:
    """Whatever else made one could record what its class cannot read again, for ever; the suites for stores make their own."""
    makers = {
        str(path.relative_to(SOURCE))
        for path in modules()
        if path.relative_to(SOURCE).parts[0] != "testing"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NewEvent"
    }
    assert makers == MAKES_EVENTS


def test_the_order_names_every_part() -> None:
    """A new folder has to take its place in the list before it can be imported unseen."""
    parts = {
        path.name.removesuffix(".py")
        for path in SOURCE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__", "__pycache__"} <= set(RANK)


def test_importing_twofold_imports_no_driver_and_no_web_server() -> None:
    """Whoever uses the core alone pays for the core alone."""
    heavy = ["sqlalchemy", "sqlite3", "asyncpg", "starlette", "uvicorn", "httpx", "click", "rich", "pytest"]
    script = f"import sys, twofold; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
