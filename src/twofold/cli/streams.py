"""Standard input, output and error as they may be: closed, full, cut off by whoever read, or without some characters."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any

CUT_OFF = 141
"""What a shell sees of a program that wrote to a pipe which nobody reads any more: 128 and SIGPIPE."""

INTERRUPTED = 130
FAILED = 1


class OutputFailed(Exception):
    """The standard output does not take what is written. No `OSError`, as it is nothing that a command could have handled."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"The output cannot be written: {error.strerror}.")
        self.cut_off = error.errno == errno.EPIPE


def run(program: Callable[[], object], name: str) -> None:
    """Run a program to its end, and end the process with its exit code, whatever its output goes to.

    What the output does not take is told in one line, with exit code 1; where whoever read has had enough, nothing is. What
    the standard error does not take is lost, as there is nowhere else to tell it.
    """
    guard()
    code: object = 0
    try:
        code = _ended(program)
    except* OutputFailed as failures:
        code = _told(failures, name)
    except* KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)  # type: ignore[arg-type]


def guard() -> None:
    """Have what is printed and logged fail as `run` says."""
    _occupy()
    sys.stdout, sys.stderr = _opened(sys.stdout, _Out(1)), _opened(sys.stderr, _Errors(2))


def _ended(program: Callable[[], object]) -> object:
    try:
        program()
    except SystemExit as ended:
        sys.stdout.flush()
        return ended.code
    sys.stdout.flush()
    return 0


def _told(failures: BaseExceptionGroup[OutputFailed], name: str) -> int:
    failed = failures.exceptions[0]
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    if failed.cut_off:
        return CUT_OFF
    sys.stderr.write(f"{name}: {failed}\n")
    return FAILED


def _occupy() -> None:
    """Take the places of streams that are closed, or the next file that is opened would be one of them.

    The place of the output takes nothing, so that what is written there is known to be lost.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115


def _opened(before: Any, raw: _Stream) -> io.TextIOWrapper:
    """Return a stream in place of one that Python opened, in the same encoding; what that lacks is written as an escape."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=raw.fileno() == 2 or raw.isatty(),
        write_through=raw.fileno() == 2,
    )


class _Stream(io.FileIO):
    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._failed = False

    def write(self, data: Any) -> int:
        """Write, or do as if once it has failed: it is told once."""
        if self._failed:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self._failed = True
            self.fail(error)
            return len(data)

    def fail(self, error: OSError) -> None:
        raise NotImplementedError


class _Out(_Stream):
    def fail(self, error: OSError) -> None:
        raise OutputFailed(error)


class _Errors(_Stream):
    def fail(self, error: OSError) -> None:
        """Lose it."""
