"""What the documents show is what happens: their Python is one program, and it runs."""

import ast
import asyncio
import builtins
import re
import types
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from twofold.cli.program import twofold
from twofold.service import ROLES, read_settings

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)

# The shortened class that introduces the README is explained by the whole one below it.
SKIPPED = {"README.md": 1}


def blocks(document: str) -> list[tuple[int, str]]:
    text = (ROOT / document).read_text()
    found = [(text.count("\n", 0, match.start("code")), match["code"]) for match in BLOCK.finditer(text)]
    return found[SKIPPED.get(document, 0) :]


def run(code: str, name: str, line: int, namespace: dict[str, Any]) -> None:
    tree = ast.parse("\n" * line + code, name)
    compiled = compile(tree, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    namespace["__builtins__"] = builtins
    coroutine = types.FunctionType(compiled, namespace)()
    if asyncio.iscoroutine(coroutine):
        asyncio.run(coroutine)
    for name_, function in list(namespace.items()):
        if name_.startswith("test_"):
            function()


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/guide.md",
        "docs/telemetry.md",
        "docs/adapters.md",
        "docs/simulation.md",
        "docs/processes.md",
        "docs/contracts.md",
    ],
)
def test_the_python_of_a_document_runs(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who types it off gets what it says."""
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("document")
    monkeypatch.setitem(__import__("sys").modules, "document", module)
    for line, code in blocks(document):
        run(code, str(ROOT / document), line, vars(module))


SIMULATED = re.findall(
    r"^```console\n\$ twofold (simulate .*)\n((?:.*\n)*?)```", (ROOT / "docs/simulation.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("command", "shown"), SIMULATED, ids=[command.split()[1] for command, _ in SIMULATED])
def test_what_a_simulation_says_is_what_the_document_shows(
    command: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the line, in order, but for what is left out."""
    monkeypatch.chdir(ROOT)
    said = iter(CliRunner().invoke(twofold, command.split()).output.splitlines())
    for line in shown.splitlines():
        assert line == "…" or line in said, line


def test_links_of_the_documents_lead_somewhere() -> None:
    """A link to a file of the project names one that exists, and one to a place in it a heading that it has."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    for document in [*top, *(ROOT / "docs").rglob("*.md")]:
        for target, place in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", document.read_text()):
            if "://" not in target:
                found = document.parent / target if target else document
                assert found.exists(), f"{document}: {target}"
                assert not place or place in headings(found), f"{document}: {target}#{place}"


def headings(document: Path) -> list[str]:
    """Return the places to which a link may lead, as they are named from a document's headings."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def test_the_containers_of_the_document_can_be_started_like_that() -> None:
    """The example is valid YAML, its commands have only options that there are, and its URLs are such as are read."""
    found = re.search(r"^```yaml\n(.*?)^```", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    containers = yaml.safe_load(found[1])["services"]
    for container in containers.values():
        program, name, *arguments = container["command"].split()
        assert program == "twofold"
        twofold.commands[name].make_context(name, arguments)
        assert str(read_settings("shop", container["environment"]).views).endswith("?schema=shop")
    roles = [role for each in containers.values() for role in re.findall(r"--role (\w+)", each["command"])]
    assert sorted(roles) == sorted(ROLES)
