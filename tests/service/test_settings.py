"""Settings are checked before anything starts, and the error names the variable."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from examples.bank import bank
from twofold import Service
from twofold.clock import SystemClock
from twofold.errors import SettingsError
from twofold.limits import FollowerLimits, Limits
from twofold.service import Settings, read_settings
from twofold.service.adapters import open_transport
from twofold.service.settings import check_names


def test_a_service_has_its_own_settings_those_of_all_or_the_defaults() -> None:
    """In this order, and `{service}` stands for the name."""
    assert read_settings("bank", {}) == Settings(log="sqlite:///bank.db", views="sqlite:///bank-views.db")
    environment = {
        "TWOFOLD_LOG": "sqlite:////var/{service}.db",
        "TWOFOLD_VIEWS": "memory:",
        "TWOFOLD_MY_BANK_VIEWS": "sqlite:///views of {service}.db",
    }
    assert read_settings("my-bank", environment).log == "sqlite:////var/my-bank.db"
    assert read_settings("my-bank", environment).views == "sqlite:///views of my-bank.db"
    assert read_settings("other", environment).views == "memory:"


def test_limits_are_those_of_the_process() -> None:
    """All services in it have the same, and a mistyped one is told like any other name."""
    found = read_settings("bank", {"TWOFOLD_FOLLOWERS_LEASE_SECONDS": "10"})
    assert found.limits == Limits(followers=FollowerLimits(lease_seconds=10))
    assert repr(found).endswith("limits=Limits(followers=FollowerLimits(lease_seconds=10.0)))")
    with pytest.raises(SettingsError, match=r"Did you mean TWOFOLD_FOLLOWERS_LEASE_SECONDS\?"):
        read_settings("bank", {"TWOFOLD_FOLLOWERS_LEASE": "10"})


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TWOFOLD_LOG", "bank.db", r"TWOFOLD_LOG='bank\.db': it begins with none of.*TWOFOLD_LOG=sqlite:///bank\.db"),
        ("TWOFOLD_LOG", "mysql://x", r"'mysql' is not one of memory:, postgresql:, sqlite:"),
        ("TWOFOLD_BANK_VIEWS", "sqlite://bank.db", r"TWOFOLD_BANK_VIEWS=.*after three slashes.*TWOFOLD_BANK_VIEWS=sqlite"),
        ("TWOFOLD_VIEWS", "sqlite:///", r"TWOFOLD_VIEWS='sqlite:///'.*after three slashes"),
        ("TWOFOLD_TRANSPORT", "pigeon://x", r"TWOFOLD_TRANSPORT=.*'pigeon' is not one of amqp:, amqps:, feed:, kafka:"),
    ],
)  # fmt: skip
def test_a_wrong_url_is_said_with_its_variable_and_a_valid_one(variable: str, value: str, says: str) -> None:
    """Whoever deploys it need not read the code."""
    with pytest.raises(SettingsError, match=f"(?s){says}"):
        read_settings("bank", {variable: value})


@pytest.mark.parametrize("url", ["postgres://shop:s3cr:t@db/x", "mysql://db/x?user=shop&password=s3cr:t&ssl=1"])
def test_a_password_is_in_no_error(url: str) -> None:
    """A mistyped scheme is the first error that many make, and its text ends up in logs."""
    with pytest.raises(SettingsError, match="shop") as raised:
        read_settings("bank", {"TWOFOLD_LOG": url})
    assert "s3cr" not in str(raised.value)


def test_a_feed_needs_the_name_and_the_url_of_each_source() -> None:
    """A part that is neither is shown, with a valid example."""
    with pytest.raises(SettingsError, match=r"'ledger' is not the name of a service and the URL.*feed:sales=http://"):
        open_transport("feed:sales=http://127.0.0.1:8001,ledger", SystemClock())


# Names.


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TWOFOLD_LOGS", "TWOFOLD_LOG"),
        ("TWOFOLD_VEIWS", "TWOFOLD_VIEWS"),
        ("TWOFOLD_TRANSPORTS", "TWOFOLD_TRANSPORT"),
        ("TWOFOLD_BANK_LGO", "TWOFOLD_BANK_LOG"),
        ("TWOFOLD_MY_BANK_VEIWS", "TWOFOLD_MY_BANK_VIEWS"),
        ("TWOFOLD_MAX_BODY", "TWOFOLD_MAX_BODY_BYTES"),
        ("TWOFOLD_BANK_MAX_BODY_BYTES", "TWOFOLD_MAX_BODY_BYTES"),
        ("TWOFOLD_ALLOWED_HOST", "TWOFOLD_ALLOWED_HOSTS"),
        ("TWOFOLD_LOG_BANK", "TWOFOLD_LOG"),
        ("TWOFOLD_BANK_LOG_", "TWOFOLD_BANK_LOG"),
        ("TWOFOLD_LOG_URL", "TWOFOLD_LOG"),
        ("TWOFOLD_log", "TWOFOLD_LOG"),
        ("twofold_views", "TWOFOLD_VIEWS"),
        ("TWOFOLD_PORT", "TWOFOLD_TRANSPORT"),
        ("TWOFOLD_", "TWOFOLD_LOG"),
    ],
)
def test_a_name_that_nothing_reads_is_refused_with_the_nearest(name: str, near: str) -> None:
    """Else the service would run on the default, a file in the current folder. The value is not shown."""
    with pytest.raises(SettingsError, match=rf"{name} is not a setting\. Did you mean {near}\?") as raised:
        read_settings("bank", {name: "s3cret"})
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWOFOLD_SALES_LOG", "sqlite:///sales.db"),
        ("TWOFOLD_BAD_DEBT_VIEWS", "memory:"),
        ("TWOFOLD_MAX_BODY_BYTES", "1048576"),
        ("TWOFOLD_TEST_FULL", "1"),
        ("TWOFOLD_TEST_POSTGRES", "postgresql://h/d"),
        ("TWOFOLD_BENCH_PROFILE", "1"),
        ("TWOFOLD_BANK_SERVICE_HOST", "10.0.0.1"),
        ("TWOFOLD_BANK_SERVICE_PORT_HTTP", "8000"),
        ("TWOFOLD_PORT", "tcp://10.0.0.1:8000"),
        ("TWOFOLD_PORT_8000_TCP_PROTO", "tcp"),
        ("TWOFOLD_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("PATH", "/bin"),
        ("NOT_TWOFOLD_LOGS", ""),
    ],
)
def test_names_of_other_services_and_of_tools_are_taken(name: str, value: str) -> None:
    """An environment is shared: by the services of a system, by tests, and Kubernetes adds what it finds."""
    assert read_settings("bank", {name: value}) == read_settings("bank", {})


def test_every_name_in_the_code_and_the_guide_is_known() -> None:
    """Whoever adds a setting adds its name to those that are known, or it could never be used."""
    root = Path(__file__).parent.parent.parent
    files = [
        *root.joinpath("src").rglob("*.py"),
        *root.joinpath("docs").rglob("*.md"),
        *root.joinpath("bench").rglob("*.py"),
    ]
    names = {name for file in files for name in re.findall(r"\bTWOFOLD_[A-Z_]*[A-Z]\b", file.read_text())}
    assert {"TWOFOLD_LOG", "TWOFOLD_MAX_BODY_BYTES"} <= names
    check_names(dict.fromkeys(names - {"TWOFOLD_LOGS"}, ""))  # The guide's example of a mistake.


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "TWOFOLD_LOG='': it is empty"),
        ("  ", "it is empty"),
        (" sqlite:///bank.db", "white space at its beginning or end"),
        ("sqlite:///bank.db\n", "white space at its beginning or end"),
        ("sqlite:///ba\tnk.db", "control characters"),
        (
            "sqlite:///{sevice}.db",
            r"\{sevice\} stands for nothing here; in a setting, \{service\} is the service's name",
        ),
        ("postgresql://h/d?schema={}", r"\{\} stands for nothing here"),
        ("sqlite:///bank.db?mode=ro", "a file has no parameters"),
        ("sqlite:///bank.db#1", "a file has no parameters"),
        ("postgresql://u:s3cret@[bad/d?x", None),
    ],
)
def test_a_url_that_would_name_something_else_is_refused(url: str, says: str | None) -> None:
    """A file named {sevice}.db, or one that ends in a line feed, is not what was meant."""
    if says is None:  # The driver says what is wrong with it, and nothing fails before it is asked.
        assert read_settings("bank", {"TWOFOLD_LOG": url}).log == url
        return
    with pytest.raises(SettingsError, match=says):
        read_settings("bank", {"TWOFOLD_LOG": url})


def test_settings_are_shown_without_secrets() -> None:
    """Whoever prints them, or a debugger that does, prints no password."""
    shown = repr(Settings(log="postgresql://u:s3cret@h/d", views="memory:", transport="feed:a=http://u:s3cret@h"))
    assert shown == "Settings(log='postgresql://u:***@h/d', views='memory:', transport='feed:a=http://***@h')"


@pytest.mark.parametrize("views", ["sqlite:///{}/bank.db", "sqlite:///{}/./more/../ba%6Ek.db"])
def test_one_file_for_log_and_views_is_refused(views: str, tmp_path: Path) -> None:
    """However it is written; nothing is made of it, and the text says what to do."""
    settings = Settings(log=f"sqlite:///{tmp_path}/bank.db", views=views.format(tmp_path))

    async def scenario() -> None:
        async with Service("bank").run(settings):
            pass

    with pytest.raises(SettingsError, match=r"bank\.db' is said to hold the log and the views.*give the views another"):
        asyncio.run(scenario())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [FollowerLimits(lease_seconds=10), None, Limits], ids=["a group", "none", "a class"])
def test_limits_are_all_groups_together(given: Any) -> None:
    """One group alone is the mistake that is near."""
    with pytest.raises(SettingsError, match=r"write limits=Limits\(…\), in which each group has its place"):
        Settings(log="memory:", views="memory:", limits=given)


def test_what_is_no_settings_is_told_without_its_secrets() -> None:
    """A URL alone is the mistake that is near: it does not say of what."""

    async def scenario(given: Any) -> None:
        async with bank.run(given):
            pass

    with pytest.raises(SettingsError, match=r"bank\.run\('memory:'\): it takes Settings.*bank\.run\(log=…, views=…\)"):
        asyncio.run(scenario("memory:"))
    with pytest.raises(SettingsError, match=r"bank\.run\(<dict>\): it takes Settings"):
        asyncio.run(scenario({"log": "postgresql://user:secret@host/bank"}))
