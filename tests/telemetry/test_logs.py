import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from twofold.messages import Metadata, current
from twofold.telemetry import configure_logging


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """Give the lines on standard error; the loggers are put back as they were."""
    loggers = [logging.getLogger(name) for name in (None, "httpx", "httpcore", "uvicorn")]
    levels, handlers = [each.level for each in loggers], loggers[0].handlers[:]
    loggers[0].handlers.clear()
    yield lambda: list(capsys.readouterr().err.splitlines())
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def json_of(written: Callable[[], list[str]]) -> Any:
    (line,) = written()
    return msgspec.json.decode(line)


def test_a_line_of_json_has_what_happened_when_and_where(written: Callable[[], list[str]]) -> None:
    """A program finds the same few names on every line."""
    configure_logging("json", service="bank")
    logging.getLogger("twofold.followers").warning("%s pauses: %s", "balance_v1", "disk full")
    line = json_of(written)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "twofold.followers",
        "message": "balance_v1 pauses: disk full",
        "service": "bank",
    }


def test_a_line_carries_correlation_and_causation_of_the_message_being_handled(
    written: Callable[[], list[str]],
) -> None:
    """One id finds all lines of one request, without anybody passing it on."""
    configure_logging("json")
    token = current.set(Metadata(correlation="request-1", causation="command-1"))
    try:
        logging.getLogger("shop").info("sold")
    finally:
        current.reset(token)
    assert json_of(written).items() >= {"correlation": "request-1", "causation": "command-1"}.items()


@pytest.mark.parametrize("format", ["text", "json"])
def test_what_goes_with_a_record_has_no_secret_of_a_url(written: Callable[[], list[str]], format: str) -> None:
    """A URL is shown without its secrets wherever it stands in a line."""
    configure_logging(format)
    logging.getLogger("shop").info("sold", extra={"to": "postgresql://shop:s3cret@h/d"})
    (line,) = written()
    assert "postgresql://shop:***@h/d" in line


def test_what_the_record_says_comes_first(written: Callable[[], list[str]]) -> None:
    """A line about another service or request than the one at hand says so by itself."""
    configure_logging("json", service="shop")
    logging.getLogger("shop").info("sold", extra={"service": "sales", "correlation": "request-2", "price": 5})
    assert json_of(written).items() >= {"service": "sales", "correlation": "request-2", "price": 5}.items()


def test_extra_values_of_any_type_are_written(written: Callable[[], list[str]]) -> None:
    """What JSON does not know is written as text; no line is lost for it."""
    configure_logging("json")
    logging.getLogger("shop").info(
        "sold", extra={"items": {"a": [1, None]}, "error": ValueError("x"), "nan": float("nan")}
    )
    assert json_of(written).items() >= {"items": {"a": [1, None]}, "error": "x", "nan": None}.items()


def test_an_exception_stays_on_its_line(written: Callable[[], list[str]]) -> None:
    """A trace of many lines is one value of one object."""
    configure_logging("json")
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        logging.getLogger("shop").exception("failed", stack_info=True)
    line = json_of(written)
    assert line["message"] == "failed"
    assert "ZeroDivisionError: by nothing" in line["traceback"]
    assert "Stack (most recent call last)" in line["traceback"]


def test_a_line_of_text_is_for_people(written: Callable[[], list[str]]) -> None:
    """Time, level, logger, message; then what else there is. The service is left out, as there is just the one."""
    configure_logging("text", service="bank")
    logging.getLogger("twofold.http").error("failed", extra={"correlation": "request-1", "path": "/x"})
    (line,) = written()
    time, rest = line.split(" ", 1)
    assert len(time) == len("12:00:00.000")
    assert rest == "ERROR   twofold.http: failed correlation=request-1 path=/x"


def test_text_shows_the_trace_below_the_line(written: Callable[[], list[str]]) -> None:
    """As Python shows it."""
    configure_logging("text")
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        logging.getLogger("shop").exception("failed")
    first, *rest = written()
    assert first.endswith("ERROR   shop: failed")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ZeroDivisionError: by nothing"


def test_configuring_again_replaces_what_was(written: Callable[[], list[str]]) -> None:
    """No line is written twice."""
    configure_logging("text")
    configure_logging("json", "warning")
    logging.getLogger("shop").info("left out")
    logging.getLogger("shop").warning("written")
    assert json_of(written)["message"] == "written"


def test_libraries_that_tell_of_every_request_are_held_to_warnings(written: Callable[[], list[str]]) -> None:
    """An HTTP client that follows a feed would drown everything else."""
    configure_logging("json", "debug")
    logging.getLogger("httpx").info("HTTP Request: GET")
    logging.getLogger("uvicorn.error").info("Started server process")
    assert written() == []


def test_an_unknown_format_or_level_is_an_error(written: Callable[[], list[str]]) -> None:
    """A typo does not silence a service."""
    with pytest.raises(ValueError, match=r"format='xml': there is text, json\."):
        configure_logging("xml")
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("text", "loud")
