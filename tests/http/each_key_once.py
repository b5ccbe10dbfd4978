"""Hooks of schemathesis: a key that it thinks up twice would be refused with another body, and rightly so."""

import re
from typing import Any
from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make each key another one; what is refused for its form stays as it is."""
    key = case.headers.get("Idempotency-Key", "") if case.headers else ""
    if len(key) < 150 and re.fullmatch(r"[!-~]([ -~]*[!-~])?", key):
        case.headers["Idempotency-Key"] = f"{key}-{uuid4()}"
