import subprocess
import sys

import pytest

from tests.cli.conftest import CommandLine

FILES = {
    ".gitignore",
    "Makefile",
    "README.md",
    "notebook/__init__.py",
    "notebook/app.py",
    "notebook/service.py",
    "pyproject.toml",
    "tests/test_notebook.py",
}


@pytest.fixture
def project(twofold: CommandLine) -> CommandLine:
    """The command line in the folder of a new project."""
    assert twofold("new", "notebook").lines == [
        "notebook/ is ready.", "", "  cd notebook", "  make test", "  make run", ""
    ]  # fmt: skip
    return CommandLine(twofold.folder / "notebook")


def test_a_new_project_is_whole(project: CommandLine) -> None:
    """All files are there, and nothing in them is left to be filled in."""
    found = {str(path.relative_to(project.folder)): path for path in project.folder.rglob("*") if path.is_file()}
    assert found.keys() == FILES
    assert not [name for name, path in found.items() if "{{" in path.read_text()]


def test_the_tests_of_a_new_project_pass(project: CommandLine) -> None:
    """Aggregate, view and the running service are tested from the first minute."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error"]
    ended = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


def test_a_new_project_runs(project: CommandLine) -> None:
    """It takes a command and answers a query, as its README shows."""
    with project.serving("notebook.service:notebook") as notebook:
        receipt = notebook.send("Remember", topic="cats", note="They purr")
        assert notebook.ask("NotesOn", receipt, topic="cats")["notes"] == ["They purr"]
        again = notebook.http.post("commands/Remember", json={"topic": "cats", "note": "They purr"})
        assert (again.status_code, again.json()["title"]) == (409, "This was noted on the topic before.")
    assert "Remembered" in project("log", "notebook.service:notebook").output


def test_the_application_of_a_new_project_can_be_served_by_any_server(project: CommandLine) -> None:
    """The module that servers are pointed to has an ASGI application."""
    script = "from notebook.app import app; print(callable(app))"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "True\n"


def test_a_new_project_is_clean(project: CommandLine) -> None:
    """Who begins with a linter and a formatter begins without findings."""
    for command in (["check", "--select", "E,F,I,UP,B,SIM"], ["format", "--check"]):
        ended = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."],
            cwd=project.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout


def test_nothing_is_overwritten(project: CommandLine, twofold: CommandLine) -> None:
    """A folder that is there stays as it is, whatever is in it."""
    readme = project.folder / "README.md"
    readme.write_text("mine")
    assert twofold("new", "notebook").complaint == (
        "twofold: notebook is there already, and nothing was changed. Choose another name or another folder."
    )
    assert readme.read_text() == "mine"
    twofold.write("letter", "")
    assert twofold("new", "letter").complaint.startswith("twofold: letter is there already")


@pytest.mark.parametrize("name", ["Notebook", "note-book", "1st", "note book", "../notes", "class", ""])
def test_a_name_that_cannot_be_a_package_is_told(twofold: CommandLine, name: str) -> None:
    """The text says what can."""
    assert twofold.within("new", "--", name).complaint == (
        f"twofold: {name!r} cannot name a Python package. Use lower-case letters, digits and '_', such as my_shop."
    )
    assert list(twofold.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["email", "twofold", "pytest", "tests", "app", "evolve", "notes_on"])
def test_a_name_that_would_hide_something_is_told(twofold: CommandLine, name: str) -> None:
    """A package called `email` breaks programs in ways that take an evening to find."""
    assert twofold.within("new", name).complaint == (
        f"twofold: {name!r} is the name of a module that the project itself needs or would hide. Choose another."
    )
    assert list(twofold.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(twofold: CommandLine) -> None:
    """The text names the path and the reason."""
    twofold.folder.joinpath("gone").mkdir()
    there = CommandLine(twofold.folder / "gone")
    script = "import os, shutil; shutil.rmtree(os.getcwd()); from twofold.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", script, "new", "notebook"],
        cwd=there.folder, env=there.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr == "twofold: notebook cannot be written: No such file or directory.\n"
