"""The page to try a service on: it loads nothing from elsewhere, and runs nothing that is not its own."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from twofold.http.exchange import Response

_PART = re.compile(rb"<(style|script)>(.*?)</\1>", re.DOTALL)


def page() -> Response:
    """Return the page, with a policy (CSP Level 3) that names its script and its style by their digests."""
    body = files("twofold.http").joinpath("docs.html").read_bytes()
    digests = {kind.decode(): _digest(part) for kind, part in _PART.findall(body)}
    policy = (
        f"default-src 'none'; script-src {digests['script']}; style-src {digests['style']}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"same-origin"),
        (b"x-frame-options", b"DENY"),
    ]
    return 200, headers, body


def _digest(part: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(part).digest()).decode()}'"
