"""Whatever is secret in a URL is not shown: neither in the URL nor in a text that has it."""

import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.telemetry.logs import JsonLines, Text
from twofold.urls import without_password, without_passwords, without_quotations

# A secret is recognised by its middle, which nothing that may be shown has.
MARK = "S3cr3tM4rk"
around = st.text(st.characters(codec="utf-8"), max_size=6)
secrets = st.builds(lambda before, after: f"{before}{MARK}{after}", around, around)
plain_secrets = st.builds(
    lambda before, after: f"{before}{MARK}{after}", *[st.text("abcXYZ019_-.~!$*", max_size=6)] * 2
)

PLACES = [
    "postgresql://u:{secret}@h/d",
    "postgresql://u:{secret}@h1:5432,h2/d?schema=orders",
    "postgresql://{secret}@h/d",
    "postgresql://u:a@{secret}@h/d",
    "postgresql://u:{secret}@[::1]:5432/d",
    "postgresql://u:{secret}@[bad/d",
    "postgresql://u:{secret}@h:notaport/d",
    "postgresql://u:{secret}",
    "postgresql:u:{secret}@h/d",
    "postgresql://h/d?password={secret}",
    "postgresql://h/d?PassWord={secret}&sslmode=require",
    "postgresql://h/d?pass%77ord={secret}",
    "postgresql://h/d?sslpassword={secret}",
    "postgresql://h/d?passfile={secret}",
    "postgresql://h/d?{secret}",
    "postgresql://h/d?{secret}=x",
    "postgresql://h/d?x={secret}",
    "postgresql://h/d?host=u:{secret}@h",
    "postgresql://h/d?application_name=http://u:{secret}@h",
    "postgresql://h/d#{secret}",
    "postgresql://h/d?user=u;password={secret}",
    "postgresql://h/d?schema=s?password={secret}",
    "http://{secret}:@h",
    "http://{secret}:x-oauth-basic@h/feed",
    "feed:a=http://u:{secret}@h:1,b=http://h:2",
    "feed:a=http://h:1,b=http://v:{secret}@h:2",
    "feed:a=http://h:1/?token={secret}",
    "feed:a=http://h:1/;token={secret}",
    "feed:http://u:{secret}@h:1",
    "feed:a:{secret}",
    "host=h dbname=d password={secret}",
    "{secret}",
    "u:{secret}@h/d",
    "mysql://u:{secret}@h/d",
    "sqlite://u:{secret}@h/d",
    "sqlite:///bank.db?key={secret}",
    "memory:{secret}",
    " postgresql://u:{secret}@h/d",
]


@pytest.mark.parametrize("place", PLACES)
@given(secret=secrets)
def test_a_secret_is_shown_nowhere_in_a_url(place: str, secret: str) -> None:
    """Wherever it stands, whatever signs it has, raw or in percent-encoding, and whether or not the URL is valid."""
    # What stands before a colon in a login is the user's name, which is shown.
    raw = secret.replace(":", "") if "//{secret}@" in place else secret
    assert MARK not in without_password(place.replace("{secret}", raw))
    assert MARK not in without_password(place.replace("{secret}", quote(secret, safe="")))


@pytest.mark.parametrize("place", [place for place in PLACES if "://" in place and not place.startswith("feed:a:")])
@given(secret=plain_secrets)
def test_a_secret_is_shown_nowhere_in_a_text(place: str, secret: str) -> None:
    """A library's error has the URL somewhere within, in quotation marks or at the end of a sentence."""
    url = place.replace("{secret}", quote(secret, safe="!$*~"))
    assert MARK not in without_passwords(f"Client error '401' for url '{url}' (see {url}).")
    assert MARK not in without_quotations(f"got {url!r}, and {secret!r} is odd")


@pytest.mark.parametrize(
    "url",
    [
        "memory:",
        "sqlite:///bank.db",
        "sqlite:////var/lib/my bank.db",
        "sqlite:///{service}.db",
        "postgresql://h1:5432,h2:5433/shop?schema=orders&sslmode=require&target_session_attrs=any",
        "postgresql://[::1]:5432/shop?application_name=bank",
        "postgresql:///shop?host=/run/postgresql&port=5432&user=ann",
        "feed:sales=http://127.0.0.1:8001,ledger=https://ledger.example.org/bank",
        "bank.db",
    ],
)
def test_what_is_harmless_is_shown(url: str) -> None:
    """Whoever reads the error must find the URL again."""
    assert without_password(url) == url


def test_a_text_keeps_the_urls_that_have_no_secret() -> None:
    """Where a service answers, and what a file is called, is what the reader wants to know."""
    text = "bank answers at http://127.0.0.1:8000; try it at http://127.0.0.1:8000/docs."
    assert without_passwords(text) == text
    assert without_passwords("no URL: a@b?c") == "no URL: a@b?c"
    several = "For example TWOFOLD_TRANSPORT=feed:sales=http://127.0.0.1:8001,ledger=http://127.0.0.1:8002"
    assert without_passwords(several) == several


@pytest.mark.parametrize("formatter", [JsonLines("bank", None), Text("bank", None)])
def test_no_secret_is_in_a_line_of_the_log(formatter: logging.Formatter) -> None:
    """Not in the message, not in its traceback, and not from a library that tells of the URLs that it asks."""
    try:
        raise ValueError("http://u:s3cret@h/feed?token=s3cret")
    except ValueError as error:
        where = (type(error), error, error.__traceback__)
        record = logging.LogRecord("httpx", logging.INFO, "", 1, "GET %s", ("http://u:s3cret@h/feed",), where)
    line = formatter.format(record)
    assert "s3cret" not in line
    assert "GET http://***@h/feed" in line
    assert "ValueError: http://***@h/feed?token=***" in line
