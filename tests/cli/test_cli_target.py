import pytest

from tests.cli.conftest import CommandLine

DECLARED = "from examples.bank import bank, Account\n"


def test_the_current_folder_is_looked_in(twofold: CommandLine) -> None:
    """A module is found from where one stands, without installing it or setting PYTHONPATH."""
    twofold.write("here.py", DECLARED)
    assert twofold("graph", "here:bank").lines[0] == "bank"


@pytest.mark.parametrize("target", ["", ":bank", "here:", "here.py", "here/bank:bank", "here:bank:bank", "here bank"])
def test_a_target_of_another_form_is_explained(twofold: CommandLine, target: str) -> None:
    """What is not module:name gets an example of what is."""
    assert twofold.within("graph", target).complaint == (
        f"twofold: {target!r} is not module:name, such as bank:bank for the service bank in the file bank.py."
    )


def test_a_file_that_is_not_there_is_named_with_the_folder(twofold: CommandLine) -> None:
    """Whoever stands in the wrong folder sees which one it is."""
    assert twofold("graph", "nowhere:bank").complaint == (
        f"twofold: There is no module 'nowhere' in {twofold.folder}, and none is installed. Go to the folder that has it."
    )
    twofold.write("package/__init__.py", "")
    assert "There is no module 'package.nowhere' in" in twofold("graph", "package.nowhere:bank").complaint


def test_a_module_that_needs_what_is_not_installed_is_named_with_the_line(twofold: CommandLine) -> None:
    """A missing dependency of the module is not taken for the module itself."""
    twofold.write("here.py", "\nimport surely_not_installed\n")
    assert twofold("graph", "here:bank").complaint == (
        f"twofold: {twofold.folder}/here.py:2 imports surely_not_installed, which is not installed."
    )


def test_services_are_listed_the_likeliest_first_where_the_name_is_wrong(twofold: CommandLine) -> None:
    """A mistyped name gets the names that there are."""
    twofold.write("here.py", "from examples.shop import shop\nfrom examples.bank import bank\n")
    assert twofold("graph", "here:bnk").complaint == ("twofold: here has no 'bnk'. There is here:bank, here:shop.")


def test_services_are_listed_where_no_name_is_given(twofold: CommandLine) -> None:
    """A module alone may have several services; one has to be chosen."""
    twofold.write("here.py", DECLARED)
    assert twofold("graph", "here").complaint == "twofold: Which service of here is not said. There is here:bank."


def test_something_else_than_a_service_is_called_what_it_is(twofold: CommandLine) -> None:
    """An aggregate cannot be run."""
    twofold.write("here.py", DECLARED + "number = 5\n")
    assert twofold("graph", "here:Account").complaint == (
        "twofold: here:Account is a class, and no Service or System. There is here:bank."
    )
    assert "here:number is a int, and no Service" in twofold("graph", "here:number").complaint


def test_a_module_without_services_is_said_to_have_none(twofold: CommandLine) -> None:
    """There is nothing to choose from."""
    twofold.write("here.py", "")
    assert twofold("graph", "here:bank").complaint == (
        "twofold: here has no 'bank'. There is no Service and no System in it."
    )


def test_a_syntax_error_is_shown_with_its_line(twofold: CommandLine) -> None:
    """The line is what one needs, and not the way there."""
    twofold.write("here.py", "\n\ndef f(:\n")
    assert twofold("graph", "here:bank").complaint == (
        f"twofold: {twofold.folder}/here.py:3: SyntaxError: invalid syntax"
    )


def test_an_error_in_the_module_is_shown_with_its_line(twofold: CommandLine) -> None:
    """Whatever a module raises when imported is told in one line."""
    twofold.write("here.py", "first = 1\nsecond = frist\n")
    assert twofold("graph", "here:bank").complaint == (
        f"twofold: {twofold.folder}/here.py:2: NameError: name 'frist' is not defined"
    )


def test_a_wrong_declaration_is_told_in_its_own_words(twofold: CommandLine) -> None:
    """What the declaration checks say names class and line already."""
    twofold.write("here.py", "from twofold import Service\nbank = Service('The Bank')\n")
    assert twofold("graph", "here:bank").complaint == (
        "twofold: Service('The Bank'): a service's name is lower-case letters, digits, '-' and '_'."
    )


def test_a_system_needs_one_of_its_services_named(twofold: CommandLine) -> None:
    """Where one service is meant and there are several, they are listed."""
    assert twofold("log", "examples.shop:shop").complaint == (
        "twofold: examples.shop:shop is a system. Say which of its services: --service with one of sales, stock, "
        "ledger, reporting, payments, shipping."
    )


def test_a_service_that_the_target_does_not_have_is_told_with_those_that_it_has(twofold: CommandLine) -> None:
    """A mistyped service gets the names that there are, of a system and of a single one."""
    assert twofold("log", "examples.shop:shop", "--service", "sale").complaint == (
        "twofold: examples.shop:shop has no service 'sale'. It has sales, stock, ledger, reporting, payments, shipping."
    )
    assert twofold("log", "examples.bank:bank", "--service", "shop").complaint == (
        "twofold: examples.bank:bank has no service 'shop'. It has bank."
    )


@pytest.mark.parametrize("command", [["run"], ["log"], ["views"], ["parked", "list"], ["parked", "show", "--", "x"]])
def test_a_wrong_setting_is_told_with_its_variable(twofold: CommandLine, command: list[str]) -> None:
    """Every command that needs a database says which variable is wrong, and shows a right one."""
    twofold.environment["TWOFOLD_BANK_LOG"] = "mysql://localhost/bank"
    command = [part.replace("x", "balance_v1") for part in command]
    where = command.index("--") if "--" in command else len(command)
    found = twofold(*command[:where], "examples.bank:bank", *command[where + 1 :])
    assert found.complaint == (
        "twofold: TWOFOLD_BANK_LOG='mysql://localhost/bank': 'mysql' is not one of memory:, postgresql:, sqlite:, "
        "which are installed; other packages register theirs in twofold.logs. "
        "For example TWOFOLD_BANK_LOG=sqlite:///bank.db"
    )
