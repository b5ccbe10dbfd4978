"""Whatever is wrong with a request is said in a problem document; nothing is recorded, and the process stays up."""

import asyncio
import gzip
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import use_files
from tests.http.message_shapes import Make, shapes
from tests.support.serving import served
from twofold import Command
from twofold.errors import SettingsError, ValueRefused
from twofold.http import asgi
from twofold.http.bodies import Body
from twofold.http.problems import Problem
from twofold.limits import read_limits
from twofold.service import Running, Settings

CUP = {"thing": "cup", "count": 1, "price": "1"}
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /commands/Make HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
TYPES = "urn:twofold:problem:"


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Check that a response is a problem document of a kind, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["type"], document["status"]) == (f"{TYPES}{kind}", status)
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == response.request.url.path
    assert document["correlation"] == response.headers["X-Correlation-ID"] != ""
    return document


@pytest.fixture(autouse=True)
def nothing_is_recorded_and_the_service_goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """Holds after each test of this file that has a client."""
    http = request.getfixturevalue("http") if "http" in request.fixturenames else None
    yield
    if http is not None:
        assert http.get("/feed").json() == {"source": "shapes", "events": [], "position": 0}
        assert http.get("/health/ready").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b'{"thing": "cup", "count": 1, "price": "1"} {}',
        b'{"thing": "\xff"}', b'{"thing": "\xed\xa0\x80"}',
        b'{"thing": "\x00"}', rb'{"thing": "\ud800"}', b'{"count": NaN}', b"\xef\xbb\xbf{}",
        b'{"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_is_not_json_is_a_bad_request(http: httpx.Client, body: bytes) -> None:
    """Cut off, not UTF-8, half a character, nested beyond measure, or nothing at all."""
    document = problem(http.post("/commands/Make", content=body, headers=JSON), 400, "not-json")
    assert document["detail"].startswith("Make: ")
    assert document["detail"].endswith("Send one JSON object, in UTF-8.")


def test_who_sends_no_body_is_told_so(http: httpx.Client) -> None:
    """Where it was said that there is JSON."""
    response = http.post("/commands/Make", headers=JSON)
    assert "there is no body" in problem(response, 400, "not-json")["detail"]


INVALID: list[tuple[dict[str, Any], str, str]] = [
    ({"count": "1"}, "/count", "Expected `int`, got `str`"),
    ({"count": 1.5}, "/count", "Expected `int`, got `float`"),
    ({"count": True}, "/count", "Expected `int`, got `bool`"),
    ({"count": 2**63}, "/count", "Expected `int` from -9223372036854775808 to 9223372036854775807"),
    ({"count": -(2**63) - 1}, "/count", "Expected `int` from"),
    ({"count": 1e300}, "/count", "Expected `int` from"),
    ({"count": int("9" * 4000)}, "/count", "Expected `int` from"),
    ({"thing": "c\0p"}, "/thing", "without NUL characters"),
    ({"notes": {"a": "\0"}}, "/notes/a", "without NUL characters"),
    ({"notes": {"\0": "a"}}, "/notes", "without NUL characters"),
    ({"extra": [[{"a~b/c": "\0"}]]}, "/extra/0/0/a~0b~1c", "without NUL characters"),
    ({"price": "NaN"}, "/price", "a number"),
    ({"price": "-Infinity"}, "/price", "a number"),
    ({"price": "cheap"}, "/price", "Invalid decimal string"),
    ({"made_at": "2030-01-31T12:00:00"}, "/made_at", "timezone"),
    ({"made_at": "2030-02-31T12:00:00Z"}, "/made_at", "Invalid RFC3339 encoded datetime"),
    ({"colour": "blue"}, "/colour", "Invalid enum value 'blue'"),
    ({"part": {"name": "a", "parts": [{"name": ""}]}}, "/part/parts/0/name", "length >= 1"),
    ({"part": {"name": "a", "weight": -1}}, "/part/weight", ">= 0"),
    ({"part": {"name": "a", "parts": [{}]}}, "/part/parts/0/name", "missing required field `name`"),
    ({"part": {"name": "a", "wieght": 1}}, "/part/wieght", "unknown field `wieght`"),
    ({"colur": "red"}, "/colur", "unknown field `colur`. The fields are thing, count, price,"),
]


@pytest.mark.parametrize(("change", "pointer", "says"), INVALID, ids=lambda value: str(value)[:40])
def test_a_field_that_does_not_fit_is_named(
    http: httpx.Client, change: dict[str, Any], pointer: str, says: str
) -> None:
    """By a pointer for programs, and in the text for people, with what was expected."""
    response = http.post("/commands/Make", json={**CUP, **change})
    document = problem(response, 422, "invalid-message")
    (error,) = document["errors"]
    assert error["pointer"] == f"#{pointer}"
    assert says in error["detail"]
    assert says in document["detail"]


def test_a_missing_field_is_named_with_the_ones_there_are(http: httpx.Client) -> None:
    """Whoever forgot it needs no other page."""
    document = problem(http.post("/commands/Make", json={"thing": "cup", "price": "1"}), 422, "invalid-message")
    assert document["errors"][0]["pointer"] == "#/count"
    assert "The fields are thing, count, price, made_at," in document["detail"]


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "5", "1.0"])
def test_json_that_is_no_object_does_not_fit(http: httpx.Client, body: str) -> None:
    """It is JSON, so it is not a bad request."""
    assert (
        "Expected `object`"
        in problem(http.post("/commands/Make", content=body, headers=JSON), 422, "invalid-message")["detail"]
    )


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("at_least=many", "$.at_least"),
        ("at_least=", "$.at_least"),
        ("at_least=1&at_least=2", "Parameter given twice - at `$.at_least`"),
        ("at_least=9223372036854775808", "Expected `int` from"),
        ("at_least=1.5", "$.at_least"),
        ("limit=0", ">= 1"),
        ("limit=-1", ">= 1"),
        ("keys=a%00b", "without NUL characters - at `$.keys[0]`"),
        ("colour=blue", "Invalid enum value 'blue'"),
        ("nothing=1", "unknown field `nothing`"),
        ("no%00thing=1", r"unknown field `no\0thing`"),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(http: httpx.Client, parameters: str, says: str) -> None:
    """As a field of the body is."""
    assert says in problem(http.get(f"/queries/Things?{parameters}"), 422, "invalid-message")["detail"]


def test_parameters_have_to_be_utf_8(http: httpx.Client) -> None:
    """Half a character cannot be compared with anything, and a lone % is no encoding."""
    problem(http.get("/queries/Things?keys=%FF"), 400, "invalid-parameters")
    # As a socket would send it: httpx mends the first one by itself.
    for url in ("/queries/Things?keys=100%", "/queries/Things?keys=%zz"):
        request = httpx.Request("GET", http.base_url)
        request.url = http.base_url.copy_with(raw_path=url.encode())
        problem(http.send(request), 400, "invalid-parameters")


def test_a_plus_that_was_meant_as_one_is_said(http: httpx.Client) -> None:
    """A moment with a zone, as it stands in JSON, has a space in it when it arrives."""
    response = http.get("/queries/Since?moment=2026-01-01T00:00:00+01:00")
    assert "write it as %2B" in problem(response, 422, "invalid-message")["detail"]
    for number in ("0", "0.5", "-1e3"):
        problem(http.get(f"/queries/Since?moment={number}"), 422, "invalid-message")
    assert http.get("/queries/Since?moment=2026-01-01T00:00:00%2B01:00").json() == "2025-12-31T23:00:00Z"


def test_an_unknown_name_is_answered_with_near_ones(http: httpx.Client) -> None:
    """Or with all of them where none is near."""
    near = problem(http.post("/commands/Mkae", json=CUP), 404, "unknown-message")
    assert near["detail"] == "There is no command 'Mkae' here. There is: Make."
    far = problem(http.get("/queries/Xyzzy"), 404, "unknown-message")
    assert far["detail"].endswith("There is: Echo, HowMany, Since, Things, Trouble.")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/commands/Make", "POST"),
        ("OPTIONS", "/commands/Make", "POST"),
        ("DELETE", "/queries/HowMany", "GET, HEAD, POST"),
        ("GET", "/queries/Echo", "POST"),
        ("POST", "/feed", "GET, HEAD"),
        ("PUT", "/openapi.json", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/health/ready", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_answered_with_the_right_ones(
    http: httpx.Client, method: str, path: str, allowed: str
) -> None:
    """Of a query whose fields do not fit into a query string, GET is not one."""
    response = http.request(method, path)
    problem(response, 405, "method-not-allowed")
    assert response.headers["Allow"] == allowed


def test_a_path_with_nothing_at_it_says_what_there_is(http: httpx.Client) -> None:
    """Whatever the method and the path."""
    for path in ("/", "/nothing", "/commands/", "/commands/Make/now", "/%2e%2e/%00", "/comm%FFands/Make"):
        for method in ("GET", "POST"):
            response = http.request(method, path)
            assert response.status_code == 404
            assert response.json()["type"] == f"{TYPES}not-found"
            assert "commands/{Name}" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"thing": "cup"}'.encode("utf-16"), "UTF-16"),
        ('{"thing": "cup"}'.encode("utf-16-le"), "UTF-16"),
        ('{"thing": "cup"}'.encode("utf-32-be"), "UTF-32"),
        (gzip.compress(b"{}", mtime=0), "compressed with gzip"),
        (b'{"thing": "cup", "count": 1, "price": "1", "count": 2}', "'count' is there twice"),
        (b'{"thing": "cup", "count": 1, "price": "1", "part": {"name": "a", "thing": 1, "thing": 2}}', "Make: "),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_json_in_another_form_is_called_what_it_is(http: httpx.Client, body: bytes, says: str) -> None:
    """Byte order marks, other encodings, compression, a field twice: in words, and not as a byte at an offset."""
    response = http.post("/commands/Make", content=body, headers=JSON)
    assert response.status_code in (400, 422)
    assert says in response.json()["detail"]


def test_what_a_database_does_not_take_is_refused_and_stays_inside(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is told to try it again, and the value is told to who runs the service alone."""

    async def refused(*arguments: Any, **options: Any) -> Any:
        raise ValueRefused("Total.made cannot be stored: the secret value")

    monkeypatch.setattr(Running, "send", refused)
    monkeypatch.setattr(Running, "answered", refused)
    for response in (http.post("/commands/Make", json=CUP), http.get("/queries/HowMany?thing=cup")):
        document = problem(response, 422, "value-refused")
        assert "Retry-After" not in response.headers
        assert "secret" not in response.text
        (logged,) = (each for each in caplog.records if document["correlation"] == getattr(each, "correlation", ""))
        assert "the secret value" in logged.getMessage()


@pytest.mark.parametrize(
    "more",
    [
        b'"count": 2',
        rb'"c\u006funt": 2',
        b'"part": {"name": "a", "name": "b"}',
        b'"part": {"name": "a", "parts": [{"name": "b"}, {"name": "c", "weight": 1, "weight": 2}]}',
        b'"notes": {"a": "x", "a": "y"}',
        b'"notes": {"a" : "x", "b": "", "a"\t: "y"}',
        rb'"notes": {"a": "x", "\u0061": "y"}',
        rb'"extra": "\u003a", "notes": {"a": "x", "a": "y"}',
        b'"extra": [[{"a": {}, "a": {}}]]',
        b'"extra": {"a": 1, "a": 1}, "notes": {"a": ":::"}',
        b'"extra": ' + b"[" * 300 + b'{"a": 1, "a": 1}' + b"]" * 300,
    ],
    ids=lambda value: repr(value[:40]),
)
def test_no_object_has_a_field_twice(more: bytes) -> None:
    """However deep it is, and however the name is written: of two values, whoever checked it before may go by the other."""
    for price in (b'"1"', b"1e999", b"9" * 5000):
        with pytest.raises(Problem, match="is there twice in one object"):
            Body(Make).read(b'{"thing": "cup", "count": 1, "price": ' + price + b", " + more + b"}")


@pytest.mark.parametrize(
    "more",
    [
        b'"part": {"name": "a", "parts": [{"name": "a"}, {"name": "a"}]}',
        b'"notes": {"a": "10:30", "b": "\\"a\\": 1, \\"a\\": 2"}',
        rb'"notes": {"a": "\u003a", "\u0062": "\u0022a\u0022:"}',
        b'"extra": {"a": {"a": {"a": ":"}}}, "made_at": "2030-01-31T12:00:00Z"',
        b'"extra": ' + b"[" * 300 + b'{"a": 1}' + b"]" * 300,
    ],
    ids=lambda value: repr(value[:40]),
)
def test_a_name_may_be_in_several_objects_and_in_text(more: bytes) -> None:
    """Only within one object a name stands for one value."""
    assert Body(Make).read(b'{"thing": "cup", "count": 1, "price": "1", ' + more + b"}").thing == "cup"


def test_fields_without_names_have_objects_with_each_name_once() -> None:
    """A message that is a list in JSON is no way round."""

    class Listed(Command, array_like=True):
        thing: str
        extra: Any

    assert Body(Listed).read(b'["cup", {"a": 1}]').extra == {"a": 1}
    with pytest.raises(Problem, match="'a' is there twice"):
        Body(Listed).read(b'["cup", {"a": 1, "a": 2}]')


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "Content-Type is missing: send Content-Type: application/json"),
        ({"Content-Type": "text/plain"}, "text/plain"),
        ({"Content-Type": "text/plain#+json"}, "text/plain"),
        ({"Content-Type": "+json"}, "+json"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "multipart/form-data"),
        ({"Content-Type": "application/json; charset=latin-1"}, "latin-1"),
        ({"Content-Type": ""}, "application/json"),
        ({**JSON, "Content-Encoding": "gzip"}, "Content-Encoding is gzip"),
        ({**JSON, "Content-Encoding": "br"}, "Content-Encoding is br"),
    ],
)
def test_a_body_is_said_to_be_json_as_it_is(http: httpx.Client, headers: dict[str, str], says: str) -> None:
    """With a type, in UTF-8, not compressed; the cure is named."""
    response = http.post("/commands/Make", content=json.dumps(CUP), headers=headers)
    assert says in problem(response, 415, "unsupported-media-type")["detail"]


def test_a_form_is_not_json(http: httpx.Client) -> None:
    """As curl sends one that was not told otherwise."""
    document = problem(http.post("/commands/Make", data={"thing": "cup"}), 415, "unsupported-media-type")
    assert "application/x-www-form-urlencoded" in document["detail"]
    assert "application/json" in document["detail"]


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Correlation-ID"])
@pytest.mark.parametrize("value", [b"", b"x" * 201, b"\xff", b"a\tb", b'""'])
def test_a_header_that_cannot_be_kept_is_named(http: httpx.Client, header: str, value: bytes) -> None:
    """Empty, too long, or more than printable ASCII; and a key in quotes is not empty either."""
    if (header, value) == ("X-Correlation-ID", b'""'):
        return
    response = http.post("/commands/Make", json=CUP, headers={header.encode(): value})
    assert header.lower() in problem(response, 400, "invalid-header")["detail"].lower()


@pytest.mark.parametrize(
    ("receipt", "status", "kind"),
    [
        ("", 400, "invalid-receipt"),
        (",", 400, "invalid-receipt"),
        ("7", 400, "invalid-receipt"),
        ("shapes@-1", 400, "invalid-receipt"),
        ("shapes@" + "9" * 30, 400, "invalid-receipt"),
        ("bank@7", 400, "invalid-receipt"),
        ("shapes@0,bank@7", 400, "invalid-receipt"),
        (",".join(["shapes@0"] * 101), 400, "invalid-receipt"),
        ("shapes@1", 409, "future-receipt"),
        ("shapes@999999999999999999", 409, "future-receipt"),
    ],
)
def test_a_receipt_that_cannot_be_waited_for_is_refused(
    http: httpx.Client, receipt: str, status: int, kind: str
) -> None:
    """Malformed or of a service that is not heard: 400. Beyond the end of the log: 409, for another log would have it."""
    problem(http.get("/queries/HowMany?thing=cup", headers={"Twofold-Receipt": receipt}), status, kind)


def test_a_rejection_is_a_conflict_with_its_reason_and_arguments(http: httpx.Client) -> None:
    """The docstring for people, the class's name and the arguments for programs; what JSON has no word for is text."""
    document = problem(http.post("/commands/Refuse", json={"thing": "cup"}), 409, "rejected:Unmakeable")
    assert document["title"] == "Such a thing cannot be made."
    assert document["arguments"] == ["cup", {"why": "it is Monday"}, "<class 'object'>"]


@pytest.mark.parametrize(("path", "body"), [("/commands/Break", {"thing": "cup"}), ("/queries/Trouble", {})])
def test_what_nobody_expected_is_logged_and_not_told(
    http: httpx.Client, caplog: pytest.LogCaptureFixture, path: str, body: dict[str, str]
) -> None:
    """The document has the correlation under which the log has the trace, and nothing of the trace."""
    response = http.post(path, json=body, headers={"X-Correlation-ID": "case-1"})
    problem(response, 500, "unexpected")
    assert "secret" not in response.text
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "secret" in str(record.exc_info[1])
    assert record.__dict__["correlation"] == "case-1"


# Bodies that are too large.


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service that takes a hundred bytes."""
    use_files(tmp_path, monkeypatch)
    monkeypatch.setenv("TWOFOLD_MAX_BODY_BYTES", "100")
    with served(asgi(shapes)) as url:
        yield url


def test_a_body_over_the_limit_is_refused(small: str) -> None:
    """Whether it says so in advance or arrives in pieces, and by far or by a byte; at the limit it is taken."""
    just = json.dumps(CUP).encode().ljust(100)
    with httpx.Client(base_url=small) as http:
        for body in (just + b" ", b" " * (5 << 20), iter([just, b" "]), iter([b" " * 65536] * 50)):
            response = http.post("/commands/Make", content=body, headers=JSON)
            document = problem(response, 413, "body-too-large")
            assert document["detail"].startswith("A body has at most 100 bytes here.")
            assert response.headers["Connection"] == "close"
        assert http.post("/commands/Make", content=just, headers=JSON).json() == {"receipt": "shapes@1"}
        assert http.post("/commands/Make", content=iter([just[:50], just[50:]]), headers=JSON).status_code == 200


def test_a_body_that_is_said_to_be_huge_is_not_waited_for(small: str) -> None:
    """The answer comes before the first byte of it."""
    host, _, port = small.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(HEAD + b"Content-Length: 999999999999999\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_in_the_middle_harms_nobody(small: str) -> None:
    """Its command was never whole, so it was never sent."""
    host, _, port = small.removeprefix("http://").partition(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(HEAD + b'Content-Length: 80\r\n\r\n{"thing"')
    assert httpx.post(f"{small}/commands/Make", json=CUP).json() == {"receipt": "shapes@1"}


@pytest.mark.parametrize("value", ["", "-1", "0", "1MB", "٣", "1.5", "9" * 5000, "postgresql://u:s3cret@h/d"])
def test_a_limit_that_is_no_number_is_said_at_the_start(value: str) -> None:
    """With the variable's name and a valid value, and without what is secret in a URL that was put there."""
    told = r"TWOFOLD_MAX_BODY_BYTES=.* For example TWOFOLD_MAX_BODY_BYTES=1048576"
    with pytest.raises(SettingsError, match=told) as raised:
        read_limits({"TWOFOLD_MAX_BODY_BYTES": value})
    assert len(str(raised.value)) < 250
    assert "s3cret" not in str(raised.value)


# What the service cannot do now.


def answered(app: Any, path: str, body: Any, **headers: str) -> httpx.Response:
    """Return what an application answers without its lifespan, and so without a service that runs."""

    async def scenario() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            return await http.post(path, json=body, headers=headers)

    return asyncio.run(scenario())


def test_a_service_that_does_not_run_can_be_asked_later() -> None:
    """503, and when to try again."""
    response = answered(asgi(shapes), "/commands/Make", CUP)
    document = problem(response, 503, "not-running")
    assert "shapes.lifespan" in document["detail"]
    assert response.headers["Retry-After"] == "1"


def test_a_log_that_fails_is_told_of_without_its_secrets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Paths and the database's own words are in the log; the caller hears that trying again may help."""

    async def scenario() -> httpx.Response:
        async with shapes.run(Settings(log=f"sqlite:///{tmp_path}/log.db", views="memory:")) as running:
            # A file that is no database any more, as a disk that fails leaves it.
            await running.log.store.close()
            (tmp_path / "log.db").write_bytes(b"no database at all, not by far" * 1000)
            for name in ("log.db-wal", "log.db-shm"):
                (tmp_path / name).unlink(missing_ok=True)
            transport = httpx.ASGITransport(asgi(running))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return await http.post("/commands/Make", json=CUP, headers={"X-Correlation-ID": "case-2"})

    response = asyncio.run(scenario())
    problem(response, 503, "log-unavailable")
    assert str(tmp_path) not in response.text
    assert "Idempotency-Key" in response.json()["detail"]
    assert response.headers["Retry-After"] == "1"
    assert any(str(tmp_path) in record.getMessage() for record in caplog.records)
