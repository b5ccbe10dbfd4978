"""Texts as every database keeps them: what is parked must not be refused in turn, whatever it was that failed."""

from __future__ import annotations

from hashlib import sha256

_LONGEST_KEY_BYTES = 2_200
_LONGEST_ERROR = 2_000
_SHOWN = 60


def storable_key(key: str) -> str:
    r"""Return the name under which a key is parked, listed and retried: itself, where every database can keep and index it.

    Of any other it is the beginning, readable, with a digest that tells it from all others.

    >>> storable_key("account:ann")
    'account:ann'
    >>> storable_key("account:a\0b")
    'account:a\\x00b~bae2cef9a764dde1'
    """
    if len(key) <= _LONGEST_KEY_BYTES // 4 and key.isascii() and "\0" not in key:
        return key
    stored = key.encode("utf-8", "surrogatepass")
    if storable_text(key) == key and len(stored) <= _LONGEST_KEY_BYTES:
        return key
    return f"{storable_text(key[:_SHOWN])}~{sha256(stored).hexdigest()[:16]}"


def storable_text(text: str) -> str:
    r"""Return a text without what not every database takes: NUL characters and halves of surrogate pairs are escaped.

    >>> storable_text("bad \0 text")
    'bad \\x00 text'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def storable_error(error: BaseException) -> str:
    """Return what to keep of an error: its type and its text, of that at most 2,000 characters."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"its text cannot be had: {type(broken).__name__}"
    if len(text) > _LONGEST_ERROR:
        text = f"{text[: _LONGEST_ERROR // 2]} […] {text[-_LONGEST_ERROR // 2 :]}"
    return storable_text(f"{type(error).__name__}: {text}")
