"""A name for the code that folds: what was folded by other code is not taken for what this code would fold."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterable
from typing import Any

from twofold.folding.description import Description, Indescribable

_logger = logging.getLogger("twofold.folding")


def fingerprint(state: type, steps: Iterable[Any]) -> str:
    """Name a state, its steps and their events, with everything that these depend on and that can be known.

    That is the shape of the state and of the events, where the state starts, old versions' upcasts, the steps' code and, by
    name, whatever this code uses: functions, classes, constants as they are now, cells, the versions of libraries and of
    Python. It is the same in every process. What is read from elsewhere it does not see: that is what ``version=`` is for.

    Something that cannot be described, a lock for example, is said in a warning, and nothing is returned.
    """
    digest = hashlib.blake2s(sys.implementation.cache_tag.encode(), digest_size=8)
    try:
        for line in Description(state.__module__.partition(".")[0]).lines([state, *steps]):
            digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    except Exception as error:
        reason = str(error) if isinstance(error, Indescribable) else repr(error)
        _logger.warning(
            "No snapshots of %s are kept, which costs only time: whether its code is the same in another process cannot be "
            "told, as it depends on %s. Pass what the steps need in events, or set snapshot_every = 0 and be told no more.",
            state.__qualname__, reason,
        )  # fmt: skip
        return ""
    return digest.hexdigest()
