"""The order of the parts, as `docs/architecture.md` shows it, and what else the house rules say of who may do what."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "twofold"


def layers() -> list[set[str]]:
    """Read the page's table: a row is a layer, and its first column names the parts that are in it."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.partition("| part | what it does | open first |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    return [set(re.findall(r"`(\w+)(?:/|\.py)`", row)) for row in rows]


RANK = {part: rank for rank, layer in enumerate(layers()) for part in layer}

EDGES = {"http", "cli"}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# What stands on the page as code, and is none of ours.
NO_CODE: set[str] = {"twofold", "ETag"}


def imports(module: Path) -> Iterator[str]:
    """Yield the modules of Twofold that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "twofold":
                names = [f"twofold.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.removeprefix("twofold.") for name in names if name.startswith("twofold."))


def modules() -> list[Path]:
    return [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if path != SOURCE / "__init__.py" and "templates" not in path.parts
    ]


def part_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def callers(called: Callable[[ast.Call], bool]) -> set[str]:
    """Return the modules, without the suites for users, that have such a call."""
    return {
        str(path.relative_to(SOURCE))
        for path in modules()
        if part_of(path) != "testing"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and called(node)
    }


def is_call_of(call: ast.Call, *methods: str, of: set[str]) -> bool:
    """Say whether a call is of one of some methods of what goes by some name, ``log`` and ``self._log`` alike."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in methods):
        return False
    whose = call.func.value
    name = whose.attr if isinstance(whose, ast.Attribute) else whose.id if isinstance(whose, ast.Name) else ""
    return name.removeprefix("_") in of


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_stands_above_it_on_the_page(module: Path) -> None:
    """Imports go one way, so that every part can be read and tested without those built on it."""
    part = part_of(module)
    for imported in imports(module):
        other = imported.split(".")[0]
        assert RANK[other] < RANK[part] or other == part, f"{module}: {part} must not import {other}"


def test_the_page_names_every_part() -> None:
    """A new folder has to take its place on the page before it can be imported unseen, and what is gone goes there, too."""
    parts = {
        path.name.removesuffix(".py")
        for path in SOURCE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__"} == set(RANK)


def test_what_the_page_names_in_the_code_is_there() -> None:
    """Whoever looks for a name from the page finds it: a function, a class with that method, or a field."""
    defined: set[str] = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                defined |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, FUNCTIONS)}
            if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
                defined |= {node.name, f"{path.stem}.{node.name}"}
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:[A-Z]\w+\.|[a-z]+\.)?_?[A-Za-z]\w+)`", page))
    code = {name for name in named if not name.endswith((".py", ".sql")) and (SOURCE / name).suffix != ".md"}
    assert code - defined - NO_CODE == set()


@pytest.mark.parametrize("edge", sorted(EDGES))
def test_an_edge_speaks_to_those_who_host_and_operate(edge: str) -> None:
    """What an edge offers could be offered by another edge: it decides nothing, and knows no database."""
    inner = {"folding", "commands", "followers", "views", "queries", "messaging", "adapters"}
    for module in modules():
        if part_of(module) == edge:
            others = {name.split(".")[0] for name in imports(module)} & inner
            assert not others, f"{module} imports {sorted(others)}"


# What goes into a log is made in one place, so that the log can give back whatever is in it.
MAKE_EVENTS = {"log/recorder.py"}


def test_events_for_a_log_are_made_by_the_recorder_alone() -> None:
    """Whatever else made one could record what its class cannot read again, for ever; the suites for stores make their own."""
    assert callers(lambda call: isinstance(call.func, ast.Name) and call.func.id == "NewEvent") == MAKE_EVENTS


# Each port has a facade, which checks and tells. A copy has to do with two stores as they are.
BEHIND_FACADES = {"copies/contents.py", "copies/copying.py", "copies/transfer.py"}


def test_nobody_reaches_behind_a_facade() -> None:
    """What was not checked on its way out of an adapter would be gone by, and nobody would be told of it."""

    def reaches(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "store" and ast.unparse(node.value) != "self"

    found = {
        str(path.relative_to(SOURCE))
        for path in modules()
        if part_of(path) != "testing" and any(map(reaches, ast.walk(ast.parse(path.read_text()))))
    }
    assert found == BEHIND_FACADES


# What is stored of an event is made and read by what `writer` and `reader` return, and by nothing else.
WRITE_EVENTS = {"log/recorder.py", "compatibility/examining.py"}
READ_EVENTS = {
    "compatibility/examining.py",
    "folding/fold.py",
    "followers/mending.py",
    "log/recorder.py",
    "operations/parked.py",
    "operations/processes.py",
    "operations/waiting.py",
    "processes/carrying_out.py",
    "processes/process_handler.py",
    "processes/schedule_handler.py",
    "processes/handling.py",
    "processes/records.py",
    "processes/requests.py",
    "processes/timer_handler.py",
    "simulation/concerned.py",
    "views/handlers.py",
}
READ_FIELDS = {"messages/codec.py", "compatibility/examining.py"}

# Whoever makes values of bytes or of plain data, and of which: none are events.
DECODE = {
    "adapters/feed.py": "deliveries, which leave the data of events as it came",
    "cli/contracts.py": "contracts",
    "cli/output.py": "lines of an export, to show them",
    "commands/snapshots.py": "states",
    "compatibility/examining.py": "fields, to compare their names",
    "contracts/options.py": "texts, to see what they are written as",
    "contracts/reading.py": "contracts",
    "copies/lines.py": "lines of an export",
    "http/bodies.py": "commands and queries",
    "http/parameters.py": "queries",
    "log/model.py": "tags and metadata",
    "messages/codec.py": "commands and queries, and what is stored of events",
    "messages/examples.py": "examples, to try them",
    "messages/types.py": "defaults",
    "messaging/wire.py": "data of a broker's messages, to see that it is JSON",
    "operations/processes.py": "keys of instances, of their states",
    "processes/keeping.py": "states of processes",
    "processes/schedule_handler.py": "the times of a schedule",
    "processes/stepping.py": "states of processes",
    "simulation/plan.py": "plans",
    "simulation/values.py": "identities, of their texts",
    "views/packing.py": "fields of rows",
    "views/paging.py": "cursors",
}


def named(call: ast.Call) -> str:
    """Return the name of what is called, without what it belongs to."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_of_msgspec(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func).startswith("msgspec.")


def test_what_is_stored_of_events_is_made_and_read_in_one_file() -> None:
    """Who encrypts a field, or stores it otherwise, edits one file, and has it so in the log, in states, views and inboxes."""
    assert callers(lambda call: named(call) == "writer") == WRITE_EVENTS
    assert callers(lambda call: named(call) == "reader") == READ_EVENTS
    assert callers(lambda call: named(call) == "current_fields") == READ_FIELDS


def test_nobody_else_decodes_events() -> None:
    """A new place that decodes says here what it decodes; if that were events, it would miss their upcasts."""
    decodes = {"decode", "Decoder", "convert"}
    found = callers(
        lambda call: named(call) == "decoder" or (is_of_msgspec(call) and named(call) in decodes) or named(call) == "upcasts"
    )  # fmt: skip
    assert found == {*DECODE, "declaration/declaration.py"}


def test_nobody_else_encodes_events() -> None:
    """What is encoded as a message is told to somebody; it is not what the log has."""
    stored = {"event", "recorded"}
    assert not callers(
        lambda call: named(call) == "encode" and any(isinstance(each, ast.Name) and each.id in stored for each in call.args)
    )  # fmt: skip


# Only decisions append: those of the service, (through the inbox) those of another one, and operators' about what is parked.
# What follows from events without a decision is recorded.
APPEND = {"commands/handler.py", "messaging/inbox.py", "operations/parked.py", "processes/recording.py"}
# A copy restores what was decided.
RESTORE = {"copies/copying.py"}


def test_nobody_else_appends_to_a_log() -> None:
    """What is in a log was decided; whoever else wrote there would make states that no decision has led to."""
    assert callers(lambda call: is_call_of(call, "append", "submit", "submit_recorded", of={"log"})) == APPEND
    assert callers(lambda call: is_call_of(call, "restore", of={"target", "store"})) == RESTORE


# How old a folder is goes by the time of the file system, which no clock of a service decides.
READ_TIME = {"clock.py", "adapters/sqlite/files.py"}


def test_the_clock_is_the_only_source_of_time_chance_and_ids() -> None:
    """A test or a simulation that puts its own clock in place decides all three; the suites for users bring theirs."""
    sources = {"time", "random", "uuid", "secrets"}
    asking = callers(
        lambda call: (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and (
                call.func.value.id in sources
                or (call.func.value.id, call.func.attr) in {("datetime", "now"), ("os", "urandom")}
            )
        )
    )
    assert asking == READ_TIME


def test_importing_twofold_imports_no_driver_and_no_web_server() -> None:
    """Whoever uses the core alone pays for the core alone."""
    drivers = ["sqlalchemy", "sqlite3", "asyncpg", "httpx"]
    heavy = [*drivers, "importlib.metadata", "starlette", "uvicorn", "click", "rich", "pytest"]
    script = f"import sys, twofold; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
