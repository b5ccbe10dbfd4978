"""What of a URL may be shown: what is known to be harmless, and nothing else."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_HIDDEN = "***"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}://[^\s'\"<>`]+")
_PARTS = re.compile(r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(\?(?P<query>[^#]*))?(?P<fragment>#.*)?", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}")
_USER = re.compile(r"[\w.-]{1,63}")
_HOSTS = re.compile(
    r"(([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)(,([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)*"
)
_PATH = re.compile(r"[\w./{} ~-]*")
_FILE = re.compile(r"[\w./{} ~-]+\.(db|sqlite3?|py)")
_VALUE = re.compile(r"[\w.,*/{} -]{0,63}")
_QUOTATION = re.compile(r"(['\"]).*\1", re.DOTALL)
_FEED = re.compile(r",\s*(?=[\w-]+=[a-z]+://)")
_FEED_PART = re.compile(r"(?P<name>[\w-]+)=(?P<address>.*)", re.DOTALL)

_HARMLESS = frozenset({
    "after", "application_name", "connect_timeout", "dbname", "host", "limit", "port", "schema", "ssl", "sslmode",
    "target_session_attrs", "user", "wait",
})  # fmt: skip
# Whose names may be shown, so that one sees what was said, and whose values may not.
_SECRET = frozenset({
    "access_token", "api_key", "passfile", "password", "sslcert", "sslkey", "sslpassword", "sslrootcert", "token",
})  # fmt: skip


def without_password(url: str) -> str:
    """Return a URL as it may be shown: without what is secret or may be.

    >>> without_password("postgresql://shop:secret@db/shop?schema=orders&sslpassword=secret&x=secret")
    'postgresql://shop:***@db/shop?schema=orders&sslpassword=***&***'
    >>> without_password("feed:sales=http://me:secret@sales:8001,ledger=http://ledger/?token=secret")
    'feed:sales=http://***@sales:8001,ledger=http://ledger/?token=***'
    >>> without_password("split:events=kafka://me:secret@one,two:9092,commands=amqp://me:secret@three")
    'split:events=kafka://me:***@one,two:9092,commands=amqp://me:***@three'
    >>> without_password("host=db password=secret")
    '***'
    """
    if of_several := re.match("feed:|split:", url):
        return f"{of_several[0]}{','.join(map(_feed_part, _FEED.split(url[of_several.end() :])))}"
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        return url if url in ("", "memory:") or _FILE.fullmatch(url) else _HIDDEN
    if not _SCHEME.fullmatch(scheme):
        return _HIDDEN
    return f"{scheme}://{_without_scheme(scheme, rest)}"


def without_passwords(text: str) -> str:
    """Return a text as it may be shown, with each URL that may have something secret shown without it.

    >>> without_passwords("Client error '401' for url 'http://me:secret@sales/feed?after=1'.")
    "Client error '401' for url 'http://***@sales/feed?after=1'."
    """
    return _URL.sub(_found, text) if "://" in text else text


def without_quotations(text: str) -> str:
    """Return what a driver says of a URL without what it quotes of it, which may be any part, cut anywhere.

    >>> without_quotations("invalid literal for int() with base 10: 'secret'")
    'invalid literal for int() with base 10: ***'
    """
    return _QUOTATION.sub(_HIDDEN, without_passwords(text))


def _found(match: re.Match[str]) -> str:
    url = match[0].rstrip(".,;:!)]}")
    first, *others = _FEED.split(url)
    return ",".join([without_password(first), *map(_feed_part, others)]) + match[0][len(url) :]


def _feed_part(part: str) -> str:
    found = _FEED_PART.fullmatch(part.strip())
    return f"{found['name']}={without_password(found['address'])}" if found else _HIDDEN


def _without_scheme(scheme: str, rest: str) -> str:
    parts = _PARTS.fullmatch(rest)
    if parts is None:
        raise AssertionError("every text has these parts")
    login, at, hosts = parts["authority"].rpartition("@")
    # Where else a sign stands that ends a login, it is not told what the login is.
    if not _HOSTS.fullmatch(hosts) or "@" in rest[len(parts["authority"]) :]:
        return _HIDDEN
    shown = f"{_login(scheme, login)}{at}{hosts}{_path(parts['path'])}"
    if parts["query"] is not None:
        shown += f"?{'&'.join(map(_parameter, parts['query'].split('&')))}"
    return f"{shown}#{_HIDDEN}" if parts["fragment"] else shown


def _login(scheme: str, login: str) -> str:
    """Return a user's name and that there is a password; alone, or before a web server, a name may be a token."""
    user, colon, password = login.partition(":")
    if colon and password and _USER.fullmatch(user) and not scheme.startswith("http"):
        return f"{user}:{_HIDDEN}"
    return _HIDDEN if login else ""


def _path(path: str) -> str:
    return path if _PATH.fullmatch(path) else f"/{_HIDDEN}"


def _parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals or name.lower() not in _HARMLESS | _SECRET:
        return _HIDDEN
    shown = unquote_plus(value)
    harmless = name.lower() in _HARMLESS and _VALUE.fullmatch(shown)
    return f"{name}={shown if harmless else _HIDDEN}"
