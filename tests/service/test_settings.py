"""Settings are checked before anything starts, and the error names the variable."""

import pytest

from twofold.clock import SystemClock
from twofold.errors import SettingsError
from twofold.service import Settings, read_settings
from twofold.service.settings import open_transport


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


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TWOFOLD_LOG", "bank.db", r"TWOFOLD_LOG='bank\.db': 'no scheme' is not one of.*TWOFOLD_LOG=sqlite:///bank\.db"),
        ("TWOFOLD_LOG", "mysql://x", r"'mysql' is not one of memory:, sqlite:, postgresql:"),
        ("TWOFOLD_BANK_VIEWS", "sqlite://bank.db", r"TWOFOLD_BANK_VIEWS=.*after three slashes.*TWOFOLD_BANK_VIEWS=sqlite"),
        ("TWOFOLD_VIEWS", "sqlite:///", r"TWOFOLD_VIEWS='sqlite:///'.*after three slashes"),
        ("TWOFOLD_TRANSPORT", "kafka://x", r"TWOFOLD_TRANSPORT=.*'kafka' is not one of feed:"),
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
